/* The first script of every page, before Gradio starts: language and colour scheme.
 *
 * Gradio reads the language once, from navigator.language, and the scheme once, from matchMedia, and remembers
 * neither. So the person's choice is put where Gradio looks. */
(() => {
  "use strict";
  const read = (key) => { try { return localStorage.getItem(`pregao.${key}`); } catch { return null; } };
  const write = (key, value) => { try { localStorage.setItem(`pregao.${key}`, value); } catch { /* private window */ } };

  const chosen = read("language");
  if (chosen) {
    Object.defineProperty(navigator, "language", { get: () => chosen, configurable: true });
    Object.defineProperty(navigator, "languages", { get: () => [chosen], configurable: true });
  }
  const language = /^pt/i.test(navigator.language) ? "pt-BR" : "en";
  document.documentElement.lang = language;

  const theme = read("theme") || "dark";
  const real = window.matchMedia.bind(window);
  window.matchMedia = (query) => !/prefers-color-scheme/.test(query) ? real(query) : {
    matches: query.includes(theme), media: query, onchange: null,
    addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {}, dispatchEvent: () => false,
  };
  const paint = (name) => {
    const dark = name === "dark";
    for (const node of [document.documentElement, document.body]) node?.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = name;
  };
  paint(theme);

  window.PregaoPreferences = {
    language,
    theme,
    /* Texts that the server makes (the ticket's answers) follow the same choice by a cookie. */
    setLanguage(name) {
      write("language", name);
      document.cookie = `pregao_lang=${name}; path=/; max-age=31536000; samesite=strict`;
      location.reload();
    },
    toggleTheme() {
      this.theme = this.theme === "dark" ? "light" : "dark";
      write("theme", this.theme);
      paint(this.theme);
      window.dispatchEvent(new Event("pregao:theme"));
    },
  };

  /* The form is being filled: a link from the Sessions page names the session whose settings are wanted, one from
   * the Data page a series. Gradio asks
   * before the other scripts are there. */
  window.PregaoArrive = (saved) => {
    const address = new URL(location);
    const clone = address.searchParams.get("clone");
    const market = address.searchParams.get("market");     // of the store, from its page
    if (market) {
      address.searchParams.delete("market");
      history.replaceState(history.state, "", address);
      const [instrument, timeframe] = market.split(" ");
      return { ...saved, feed: "replay", instrument, timeframe };
    }
    if (!clone) return saved;
    address.searchParams.delete("clone");
    history.replaceState(history.state, "", address);
    return { ...saved, clone };
  };
})();
