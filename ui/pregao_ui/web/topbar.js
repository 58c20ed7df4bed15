/* The top bar of every page, and what the pages that are lists share. */
(() => {
  "use strict";
  if (Pregao.topbar) return;
  const { T, make, withCode, request } = Pregao;

  Pregao.topbar = (root) => {
    const preferences = window.PregaoPreferences;
    Pregao.translate(root);
    for (const link of root.querySelectorAll("nav a")) {
      if (new URL(link.href).pathname.replace(/\/$/, "") !== location.pathname.replace(/\/$/, "")) continue;
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });      // on a phone the bar is wider than the window
    }
    for (const button of root.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === Pregao.language));
      button.addEventListener("click", () => preferences.setLanguage(button.dataset.language));
    }
    root.querySelector("[data-do=keys]").addEventListener("click", () => Pregao.keys());
    root.querySelector("[data-do=theme]").addEventListener("click", () => preferences.setTheme(preferences.theme === "dark" ? "light" : "dark"));
    root.querySelector("[data-part=leave]").hidden = !/(^|; )pregao_inside=1/.test(document.cookie);   // a password was given
    const banner = root.querySelector("[data-part=banner]");
    let said = "";
    /* what stands below the bar is as high as what is left of the window */
    new ResizeObserver(() => document.documentElement.style.setProperty("--pg-top", `${root.offsetHeight}px`)).observe(root);
    const check = async () => {
      if (document.hidden) return;
      const text = await request("/api/health").then(
        (health) => {
          if (!document.querySelector("#live")) Pregao.money(root.querySelector(".money"), { money: health.money, broker: health.brokers.join(", ") });
          return [health.prefect ? "" : T("servers_banner"), health.mlflow ? "" : T("mlflow_banner")].filter(Boolean).join(" ");
        },
        (error) => (error.status ? error.message : T("lost")));
      if (text !== said) banner.replaceChildren(...withCode(text));
      said = text;
      banner.hidden = !text;
    };
    check();
    setInterval(check, 15_000);
  };

  /* ---- for pages: what stands where there is nothing, cells, the head of a table */
  Pregao.page = {
    empty: (title, text) => make("div", { class: "pg-blank" }, make("b", {}, title), ...withCode(text)),
    cell: (text, more = {}) => make("td", more, text),
    header: (...names) => make("thead", {}, make("tr", {}, ...names.map(([key, number]) => make("th", { scope: "col", class: number ? "n" : "" }, T(key))))),
  };
})();
