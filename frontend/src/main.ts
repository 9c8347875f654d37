import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { prefs } from './lib/prefs.svelte.ts';

prefs.apply();
mount(App, { target: document.getElementById('app')! });
