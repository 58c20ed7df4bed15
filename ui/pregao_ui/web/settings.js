/* The Settings page: language and colours, keys that are never shown again, notifications, limits. */
(() => {
  "use strict";
  if (Pregao.settingsPage) return;
  const { T, has, format, make, withCode, request } = Pregao;
  const { header, cell } = Pregao.page;
  const { pill, panel, loading, broken, form, dialog, cancel, say } = Pregao.room;
  const EXCHANGES = ["binance", "bybit", "coinbase", "kraken", "okx"];
  const PARTS = ["KEY", "SECRET", "PASSWORD"];
  const TOPICS = ["fills", "stops", "pauses", "proposals", "promotions"];

  Pregao.settingsPage = (root) => {
    const preferences = window.PregaoPreferences;
    const places = Object.fromEntries(["keys", "notifications", "installation", "limits"].map((name) => [name, make("div", { "data-part": name }, loading())]));
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("settings"))),
      make("div", { class: "pg-two" }, make("div", {}, looks(), places.keys, places.installation), make("div", {}, places.notifications)), places.limits);
    const fill = async (name, make_) => {
      try { places[name].replaceChildren(...(await make_()).filter(Boolean)); } catch (error) { places[name].replaceChildren(broken(error, () => fill(name, make_))); }
    };
    /* A question first: what is dropped cannot be had back from here. */
    function sure(title, text, act) {
      const made = form({ submit: T("drop_do"), tone: "danger", fields: [], more: [cancel()], send: async () => { await act(); close(); } });
      const close = dialog(title, make("p", {}, text), made.node);
    }

    /* ---- what this browser remembers */
    function looks() {
      const choose = (name, label, options, value, act) => {
        const id = `look-${name}`;
        const select = make("select", { id, name, onchange: () => act(select.value) }, ...options.map(([of, text]) => make("option", { value: of }, text)));
        select.value = value;
        if (name === "theme") addEventListener("pregao:theme", () => { select.value = preferences.chosenTheme; });   // by the button of the bar
        return make("div", { class: "pg-field" }, make("label", { for: id }, label), select);
      };
      return panel(T("appearance"), make("div", { class: "pg-pair" },
        choose("language", T("language"), [["en", "English"], ["pt-BR", "Português (Brasil)"]], Pregao.language, (value) => preferences.setLanguage(value)),
        choose("theme", T("colours"), [["", T("as_browser")], ["dark", T("dark")], ["light", T("light")]], preferences.chosenTheme, (value) => preferences.setTheme(value))),
        make("p", { class: "pg-hint" }, T("appearance_hint")));
    }

    /* ---- keys: their names only; what they are goes in and never comes out */
    async function keys() {
      const found = await request("/api/settings/keys");
      const list = found.length ? make("ul", { class: "pg-list" }, ...found.map((key) => make("li", { "data-key": key.name },
        make("div", {}, make("code", {}, key.name), make("p", { class: "pg-hint" }, key.where === "environment" ? T("key_environment") : T("key_set", { when: format.local(key.set_at) }))),
        key.where === "file" ? make("button", { type: "button", class: "small", "aria-label": `${T("drop")} ${key.name}`, onclick: () => sure(T("drop"), T("key_drop_sure", { name: key.name }), async () => {
          await request(`/api/settings/keys/${key.name}`, {}, "DELETE");
          say(T("key_dropped", { name: key.name }));
          fill("keys", keys);
        }) }, T("drop")) : null))) : make("p", { class: "pg-hint" }, T("no_keys"));
      const made = form({
        submit: T("key_do"),
        fields: [
          { name: "exchange", label: T("exchange"), kind: "select", options: [...EXCHANGES.map((name) => [name, name]), ["", T("other")]] },
          { name: "other", label: T("other_exchange"), hint: T("exchange_hint"), required: true },
          { name: "part", label: T("key_part"), kind: "select", options: PARTS.map((part) => [part, T(`key_${part.toLowerCase()}`)]) },
          { name: "value", label: T("key_value"), kind: "password", required: true, hint: T("key_hint"), attributes: { autocomplete: "off", spellcheck: "false", maxlength: 4096 } },
        ],
        send: async ({ exchange, other, part, value }) => {
          const name = `PREGAO_CCXT_${(exchange || other.trim()).toUpperCase().replace(/[^A-Z0-9]/g, "")}_${part}`;
          await request(`/api/settings/keys/${name}`, { value }, "PUT");
          await fill("keys", keys);
          say(T("key_kept", { name }));
        },
      });
      const suit = () => { made.field("other").node.hidden = made.get("exchange") !== ""; };
      made.field("exchange").input.addEventListener("input", suit);
      suit();
      return [panel(T("source_keys"), make("p", { class: "pg-hint" }, ...withCode(T("keys_lead"))), list, made.node)];
    }

    /* ---- notifications: off until turned on; addresses hold passwords, so they go in and never come out */
    async function notifications() {
      const now = await request("/api/settings/notifications");
      const chosen = form({
        submit: T("save"),
        fields: [
          { name: "on", label: T("notify_on"), kind: "checkbox", value: now.on, attributes: { role: "switch" } },
          ...TOPICS.map((topic) => ({ name: topic, label: T(`topic_${topic}`), kind: "checkbox", value: now.topics.includes(topic) })),
          { name: "language", label: T("language"), kind: "select", value: now.on || now.targets.length ? now.language : Pregao.language, options: [["en", "English"], ["pt-BR", "Português (Brasil)"]] },
        ],
        send: async (values) => {
          if (values.on && !now.targets.length) throw Object.assign(new Error(), { fields: { on: T("notify_nowhere") } });
          await request("/api/settings/notifications", { on: values.on, topics: TOPICS.filter((topic) => values[topic]), language: values.language }, "PUT");
          return T(values.on ? "notify_is_on" : "notify_is_off");
        },
      });
      const list = now.targets.length ? make("ul", { class: "pg-list" }, ...now.targets.map((target) => {
        const said = make("p", { class: "pg-hint", role: "status" }, `${target.service} · ${format.local(target.added)}`);
        const test = make("button", { type: "button", class: "small", "aria-label": `${T("notify_test")} ${target.name || target.service}`, onclick: async () => {
          test.disabled = true;
          said.textContent = T("loading");
          said.className = "pg-hint";
          try {
            const [result] = await request(`/api/settings/notifications/test?target=${encodeURIComponent(target.id)}`, {});
            said.textContent = result.sent ? T("notify_sent") : T("notify_not_sent", { why: result.message });
            said.className = `pg-form-verdict ${result.sent ? "good" : "bad"}`;
          } catch (error) { said.textContent = error.message; said.className = "pg-form-verdict bad"; }
          test.disabled = false;
        } }, T("notify_test"));
        return make("li", { "data-target": target.id }, make("div", {}, make("b", {}, target.name || target.service), said), test,
          make("button", { type: "button", class: "small", "aria-label": `${T("drop")} ${target.name || target.service}`, onclick: () => sure(T("drop"), T("target_drop_sure", { name: target.name || target.service }), async () => {
            await request(`/api/settings/notifications/targets/${encodeURIComponent(target.id)}`, {}, "DELETE");
            fill("notifications", notifications);
          }) }, T("drop")));
      })) : make("p", { class: "pg-hint" }, T("no_targets"));
      const add = form({
        submit: T("target_do"), tone: "",
        fields: [
          { name: "name", label: T("target_name"), attributes: { maxlength: 60, placeholder: T("target_name_such") } },
          { name: "address", label: T("target_address"), kind: "password", required: true, hint: T("target_hint"), attributes: { autocomplete: "off", spellcheck: "false", maxlength: 2000 } },
        ],
        send: async ({ name, address }) => {
          await request("/api/settings/notifications/targets", { name: name.trim(), address });
          await fill("notifications", notifications);
          say(T("target_kept"));
        },
      });
      return [panel(T("notifications"), make("p", { class: "pg-hint" }, T("notify_lead")), chosen.node), panel(T("targets"), list, add.node)];
    }

    /* ---- limits: what sessions are held to, and what this installation allows */
    async function limits() {
      const profiles = await request("/api/settings/profiles");
      const percent = (value) => (value === null ? "–" : format.percent(value, 0));
      return [panel(T("risk_profiles"), make("p", { class: "pg-hint" }, T("risk_lead")),
        make("div", { class: "pg-scroll", tabindex: "0", role: "region", "aria-label": T("risk_profiles") }, make("table", { class: "pg-table" },
          header(["col_profile"], ["cap_position", 1], ["cap_exposure", 1], ["cap_kelly", 1], ["cap_daily_loss", 1], ["cap_drawdown", 1], ["cap_cool_down", 1]),
          make("tbody", {}, ...profiles.map((profile) => make("tr", { "data-profile": profile.name }, cell(has(`risk_${profile.name}`) ? T(`risk_${profile.name}`) : profile.name),
            ...["max_position", "max_exposure", "kelly", "daily_loss", "max_drawdown"].map((name) => cell(percent(profile[name]), { class: "n" })),
            cell(profile.cool_down ? T("bars_n", { n: profile.cool_down }) : "–", { class: "n" })))))))];
    }
    async function facts() {
      const installation = await request("/api/settings/limits");
      const size = (bytes) => (bytes >= 1e6 ? `${format.number(bytes / 1e6, 0)} MB` : `${format.number(bytes / 1024, 0)} KB`);
      const known = [["sessions_at_once", format.number(installation.sessions_at_once, 0)], ["requests_per_second", installation.requests_per_second ? format.number(installation.requests_per_second, 0, 1) : T("none")],
        ["request_bytes", size(installation.request_bytes)], ["upload_bytes", size(25e6)], ["targets", format.number(installation.targets, 0)]];
      return [panel(T("installation"), make("dl", {}, ...known.flatMap(([name, value]) => [make("dt", {}, T(`cap_${name}`)), make("dd", {}, value)])), make("p", { class: "pg-hint" }, ...withCode(T("installation_hint"))))];
    }

    fill("keys", keys);
    fill("notifications", notifications);
    fill("installation", facts);
    fill("limits", limits);
  };
})();
