import { defineConfig } from 'vite';

// One classic script for reports that open offline; it runs after the main build and adds to dist.
export default defineConfig({
  publicDir: false,
  build: {
    target: 'es2018',
    outDir: 'dist/report',
    emptyOutDir: true,
    chunkSizeWarningLimit: 1000,
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      input: 'src/report/echarts.ts',
      output: { format: 'iife', entryFileNames: 'echarts.min.js' },
    },
  },
});
