// Lets node run the TypeScript of src/lib: types are stripped on load. Node 20 does not do it itself.
import { register } from 'node:module';

register('./strip.mjs', import.meta.url);
