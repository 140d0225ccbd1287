// The shapes of docs/server.md, and of what the page keeps.
export interface Problem { kind: string; message: string; place: string | null }
export interface Photo {
  id: string; image: string; name: string; width: number; height: number; depth: number;
  format: string; alpha: boolean; preview: {width: number; height: number};
  levels: number; tile: number; not_kept: string[]; suggested: string;
}
export interface Model {
  state: 'unloaded' | 'loading' | 'ready' | 'failed';
  backbone: string; device?: string; dtype?: string; family?: string; error?: Problem | null;
}
export interface Hello {
  locstyle: string; api: number; root: string; photo: Photo | null; recipe: Recipe | null;
  model: Model; backbone: string;
}
export interface Styling { style: string; strength?: number; window?: [number, number] }
export interface RecipeRegion {
  mask: string | Record<string, unknown>; style?: string; strength?: number; prompt?: string;
  negative?: string; window?: [number, number]; feather?: number; paste_feather?: number;
  guidance?: number; structure?: number; palette?: number | string; detail?: number; styles?: Styling[];
}
export interface Recipe {
  locstyle: number; image: string; regions: RecipeRegion[];
  segmenter?: string | {name: string; [key: string]: unknown}; seed?: number; prompt?: string;
  [key: string]: unknown;
}
export interface Style {
  id: string; style: string; name: string; kind: string; family: string | null;
  trigger?: string | null; licence?: string | null; origin: string; thumbnail: boolean;
  fits: boolean | null; why: string | null; ways?: {style: string; name: string}[] | null;
}
export interface Step {
  phase: string; index: number; total: number; fraction: number; seconds_left: number | null;
}
export interface Job {
  id: string; kind: string; client: string | null;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  step: Step | null; error: Problem | null; warnings: Problem[]; result: unknown;
}
export interface Result {
  id: string; kind: 'preview' | 'render'; image: string; photo: string; made: number;
  asked: Recipe; recipe: Recipe; quick: boolean; held: boolean;
  report: {seconds: Record<string, number>; outside_identical: number | null; [key: string]: unknown};
}
export interface Segment {
  number: number; box: [number, number, number, number]; area: number; label: string | null;
}
/** A region as the page keeps it: what the recipe says, and what only the page needs. */
export interface Part {
  readonly key: number; readonly name: string; readonly colour: string;
  readonly hidden: boolean; readonly locked: boolean; readonly region: RecipeRegion;
}
/** The document: a recipe in parts. `rest` is what else the recipe says. */
export interface Doc {
  readonly parts: readonly Part[]; readonly rest: Readonly<Record<string, unknown>>;
}
export interface MaskSeen {
  width: number; height: number; alpha: Uint8Array; id: string | null;
}
export interface Coverage { coverage: number; alone: number; error: Problem | null }
export type Tool = 'object' | 'box' | 'lasso' | 'colour' | 'brush' | 'eraser' | 'hand';
