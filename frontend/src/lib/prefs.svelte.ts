// What the user chose and the browser remembers: language, colours, density.

export type Lang = 'en' | 'ja';
export type Theme = 'system' | 'light' | 'dark';
export type Density = 'dense' | 'comfortable';

/** localStorage can be switched off; then a choice lasts as long as the page. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`triality.${key}`, value);
  } catch {
    // nothing to do: the choice holds for this page
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`triality.${key}`);
  } catch {
    return null;
  }
}

function firstLang(): Lang {
  const kept = recall('lang');
  if (kept === 'en' || kept === 'ja') return kept;
  return navigator.language.toLowerCase().startsWith('ja') ? 'ja' : 'en';
}

function firstTheme(): Theme {
  const kept = recall('theme');
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

const media = matchMedia('(prefers-color-scheme: dark)');

class Prefs {
  lang = $state<Lang>(firstLang());
  theme = $state<Theme>(firstTheme());
  density = $state<Density>(recall('density') === 'comfortable' ? 'comfortable' : 'dense');
  systemDark = $state(media.matches);
  dark = $derived(this.theme === 'dark' || (this.theme === 'system' && this.systemDark));

  setLang(lang: Lang): void {
    this.lang = lang;
    remember('lang', lang);
    document.documentElement.lang = lang;
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    remember('theme', theme);
    this.apply();
  }

  setDensity(density: Density): void {
    this.density = density;
    remember('density', density);
    this.apply();
  }

  apply(): void {
    const { dataset } = document.documentElement;
    document.documentElement.lang = this.lang;
    dataset.theme = this.dark ? 'dark' : 'light';
    dataset.density = this.density;
  }
}

export const prefs = new Prefs();
media.addEventListener('change', (e) => {
  prefs.systemDark = e.matches;
  prefs.apply();
});
