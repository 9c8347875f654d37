import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { prefs } from './lib/prefs.svelte.ts';
import { keepPrintable } from './lib/printable.ts';

prefs.apply();
keepPrintable(document);
mount(App, { target: document.getElementById('app')! });
