// What the page uses of preact, signals and htm; the vendored files carry no types.
export interface Signal<T> { value: T; peek(): T; subscribe(run: (value: T) => void): () => void }
export interface Computed<T> { readonly value: T; peek(): T }
export type Node = unknown;
export function html(strings: TemplateStringsArray, ...values: unknown[]): Node;
export function render(node: Node, parent: Element): void;
export const Fragment: unknown;
export function signal<T>(value: T): Signal<T>;
export function computed<T>(run: () => T): Computed<T>;
export function effect(run: () => void | (() => void)): () => void;
export function batch<T>(run: () => T): T;
export function untracked<T>(run: () => T): T;
export interface Ref<T> { current: T }
export function useRef<T>(value: T): Ref<T>;
export function useState<T>(value: T | (() => T)): [T, (next: T | ((old: T) => T)) => void];
export function useEffect(run: () => void | (() => void), on?: unknown[]): void;
export function useLayoutEffect(run: () => void | (() => void), on?: unknown[]): void;
