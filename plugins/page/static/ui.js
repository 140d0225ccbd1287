// The one door to the vendored libraries; `ui.d.ts` says what of them we use.
import {createElement, Fragment, render} from './vendor/preact.js';
import {useEffect, useLayoutEffect, useRef, useState} from './vendor/hooks.js';
import {batch, computed, effect, signal, untracked} from './vendor/signals.js';
import htm from './vendor/htm.js';

const html = htm.bind(createElement);

export {
  Fragment, batch, computed, effect, html, render, signal, untracked,
  useEffect, useLayoutEffect, useRef, useState,
};
