/* The first script of every page, before Gradio starts: language and colour scheme.
 *
 * Gradio reads the language once, from navigator.language, and the scheme once, from matchMedia, and remembers
 * neither. So the person's choice is put where Gradio looks. */
(() => {
  "use strict";
  const read = (key) => { try { return localStorage.getItem(`pregao.${key}`); } catch { return null; } };
  const write = (key, value) => {
    try { value ? localStorage.setItem(`pregao.${key}`, value) : localStorage.removeItem(`pregao.${key}`); } catch { /* private window */ }
  };

  const spoken = read("language");
  if (spoken) {
    Object.defineProperty(navigator, "language", { get: () => spoken, configurable: true });
    Object.defineProperty(navigator, "languages", { get: () => [spoken], configurable: true });
  }
  const language = /^pt/i.test(navigator.language) ? "pt-BR" : "en";
  document.documentElement.lang = language;

  /* The person's choice, else what the browser asks for, also when that changes while the page is open. */
  const real = window.matchMedia.bind(window);
  const light = real("(prefers-color-scheme: light)");
  let chosen = ["dark", "light"].find((name) => name === read("theme")) ?? "";
  const theme = () => chosen || (light.matches ? "light" : "dark");
  window.matchMedia = (query) => !/prefers-color-scheme/.test(query) ? real(query) : {
    matches: query.includes(theme()), media: query, onchange: null,
    addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {}, dispatchEvent: () => false,
  };
  const paint = () => {
    for (const node of [document.documentElement, document.body]) node?.classList.toggle("dark", theme() === "dark");
    document.documentElement.style.colorScheme = theme();
    window.dispatchEvent(new Event("pregao:theme"));
  };
  paint();
  light.addEventListener("change", paint);

  window.PregaoPreferences = {
    language,
    get theme() { return theme(); },
    get chosenTheme() { return chosen; },                // empty: as the browser asks for
    /* Texts that the server makes (the ticket's answers) follow the same choice by a cookie. */
    setLanguage(name) {
      write("language", name);
      document.cookie = `pregao_lang=${name}; path=/; max-age=31536000; samesite=strict`;
      location.reload();
    },
    setTheme(name) {
      chosen = name;
      write("theme", name);
      paint();
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
      return { ...saved, feed: "replay", instrument, timeframe, also: [] };
    }
    if (!clone) return saved;
    address.searchParams.delete("clone");
    history.replaceState(history.state, "", address);
    return { ...saved, clone };
  };
})();
