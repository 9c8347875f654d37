/// <reference types="vite/client" />
declare module 'echarts/i18n/langJA-obj.js' {
  const locale: Record<string, unknown>;
  export default locale;
}
