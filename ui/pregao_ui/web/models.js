/* The Models page: who trades and who wants to, side by side; what was learned, drift, every version with the gate's
 * reasons; promote and roll back. */
(() => {
  "use strict";
  if (Pregao.modelsPage) return;
  const { T, told, refusal, has, format, make, request } = Pregao;
  const { empty } = Pregao.page;
  const { words, pill, panel, loading, broken, outside, form, dialog, cancel, say } = Pregao.room;
  const { lines, bars } = Pregao.plots;

  /* Figures that are fractions are shown in per cent. */
  const FIGURES = ["net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "profit_factor", "auc", "random_p"];
  const FRACTIONS = ["net_return", "max_drawdown", "hit_rate", "costs", "doubled_costs", "drawdown", "skill", "overfitting", "calibration"];
  const THREE = ["auc", "random_p", "random_entries", "deflated_sharpe", "champion"];
  const COMPARED = ["net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "profit_factor", "auc", "log_loss", "calibration_error", "p"];
  const TOP = 10;
  const figure = (name, value) => (!Number.isFinite(value) ? "–" : FRACTIONS.includes(name) ? format.percent(value * 100)
    : format.number(value, 0, THREE.includes(name) ? 3 : 2));
  const minus = (text) => text.replace("-", "\u2212");
  const shown = ({ form: kind, key }, value) => (!Number.isFinite(value) ? "–" : kind === "percent" ? minus(format.percent(value * 100))
    : kind === "count" ? format.number(value, 0) : minus(format.number(value, ["auc", "log_loss", "p"].includes(key) ? 3 : 2)));
  const metric = ({ section, key }) => (section === "doubled_costs" ? T("metric_doubled_costs") : section === "buy_and_hold" ? null
    : COMPARED.includes(key) ? T(key === "p" ? "metric_random_p" : `metric_${key}`) : null);
  const verdict = (model) => (model.gate ? (model.gate.passed ? "passed" : "failed") : "unknown");
  const alias = (name) => (has(`alias_${name}`) ? T(`alias_${name}`) : name);
  const badges = (model) => model.aliases.map((name) => make("span", { class: `pg-badge ${name === "champion" ? "good" : ""}` }, alias(name)));
  const short = (name) => { const parts = name.split("."); return `${parts.slice(3, -1).join(".").replace("-", "/")} ${parts.at(-1)}`; };
  const path = (name, ...rest) => `/api/models/${encodeURIComponent(name)}/${rest.join("/")}`;

  Pregao.modelsPage = (root) => {
    const body = make("div", {});
    const choice = make("select", { "aria-label": T("model"), hidden: "", onchange: () => choose(choice.value) });
    const links = make("span", { class: "acts" });
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("models")), choice, links), make("p", { class: "pg-lead" }, T("gate_explained")), body);
    let every = [];
    let asked = 0;

    function choose(name) {
      const address = new URL(location);
      address.searchParams.set("model", name);
      history.replaceState(history.state, "", address);
      draw(name);
    }

    /* ---- one series: what is read later fills its own place, and what cannot be read says so there */
    function draw(name) {
      const mine = asked += 1;
      choice.value = name;
      const versions = every.filter((model) => model.name === name);
      const champion = versions.find((model) => model.aliases.includes("champion"));
      const beside = versions.find((model) => model.aliases.includes("challenger") && model !== champion) ?? versions.find((model) => model !== champion);
      const place = { pair: make("div", { "data-part": "pair" }, loading()), drift: make("div", { "data-part": "drift" }, loading()) };
      body.replaceChildren(who(versions, champion), place.pair, ...(champion && beside?.aliases.includes("challenger") ? [shadowed(beside)] : []), make("div", { class: "pg-two" }, learnt(beside ?? champion, champion), place.drift),
        make("h3", {}, T("all_versions", { n: versions.length })), ...versions.map((model) => version(model, champion)));
      const fill = async (where, make_) => {
        try {
          const nodes = await make_();
          if (mine === asked) where.replaceChildren(...nodes.filter(Boolean));
        } catch (error) {
          if (mine === asked) where.replaceChildren(broken(error, () => fill(where, make_)));
        }
      };
      fill(place.pair, () => pair(name, versions, champion ?? beside, champion ? beside : undefined));
      fill(place.drift, () => drift(name));
    }

    function who(versions, champion) {
      const previous = versions.find((model) => model.aliases.includes("previous") && model !== champion);
      const words = !champion ? [T("no_champion")] : [T("champion_now", { n: champion.version }), promoted(champion)];
      return make("div", { class: "pg-who", "data-part": "who" },
        make("p", {}, ...words.filter(Boolean).flatMap((text, i) => (i ? [" ", text] : [make("b", {}, text)]))),
        make("button", { type: "button", "data-do": "train", onclick: ({ target }) => train(target, versions[0]) }, T("train_new")),
        previous ? make("button", { type: "button", "data-do": "roll-back", onclick: () => ask(previous, champion, true) }, T("roll_back", { n: previous.version })) : null);
    }
    /* A training is followed under the sentence on who trades; the page takes its version in when it has ended. */
    async function train(button, { instrument, timeframe }) {
      const place = make("div", { "data-part": "run" });
      button.closest("[data-part=who]").after(place);
      button.disabled = true;
      try {
        await Pregao.runs.train(place, instrument, timeframe, () => { button.disabled = false; });
      } catch (error) {
        button.disabled = false;
        place.replaceChildren(make("p", { class: "pg-note bad", role: "alert" }, ...Pregao.withCode(error.message)));
      }
    }
    const promoted = ({ promotion }) => (!promotion ? "" : [T(promotion.by === "gate" ? "promoted_by_gate" : "promoted_by_person", { when: format.local(promotion.at) }),
      promotion.reason ? `“${promotion.reason}”` : ""].filter(Boolean).join(" "));

    /* ---- two versions side by side; the person may choose others */
    async function pair(name, versions, one, other) {
      if (!one) return [];
      const options = versions.map((model) => make("option", { value: model.version }, [T("version", { n: model.version }), ...model.aliases.map(alias)].join(" · ")));
      const pick = (value, label, other_) => {
        const select = make("select", { "aria-label": label, onchange: again }, ...(other_ ? [make("option", { value: "" }, T("none"))] : []), ...options.map((node) => node.cloneNode(true)));
        select.value = value ?? "";
        return select;
      };
      const left = pick(one.version, T("version_left"));
      const right = pick(other?.version, T("version_right"), true);
      const inside = make("div", {});
      async function again() {
        inside.replaceChildren(loading());
        try { inside.replaceChildren(...await compared(name, left.value, right.value)); }
        catch (error) { inside.replaceChildren(broken(error, again)); }
      }
      await again();
      return [panel(T("side_by_side"), make("div", { class: "pg-pick" }, make("span", { class: "key one" }, left), make("span", { class: "key two" }, right)), inside)];
    }
    async function compared(name, one, other) {
      const document_ = other && other !== one ? await request(path(name, `compare?one=${one}&other=${other}`)) : null;
      const both = document_?.models ?? [await request(path(name, one, "portrait"))];
      const names = [one, other].slice(0, both.length).map((n) => T("version", { n }));
      const tones = ["one", "two"];
      const figures = document_?.figures ?? both[0].figures.map((found) => ({ ...found, values: [found.value], better: null }));
      const table = make("table", { class: "pg-table pg-figures" },
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, T("out_of_sample")), ...names.map((text) => make("th", { scope: "col", class: "n" }, text)))),
        make("tbody", {}, ...figures.filter(metric).map((found) => make("tr", {}, make("th", { scope: "row" }, metric(found)),
          ...found.values.map((value, i) => make("td", { class: `n${found.better === i ? " better" : ""}` }, shown(found, value), found.better === i ? make("span", { class: "pg-unseen" }, ` (${T("better")})`) : null)))),
          make("tr", {}, make("th", { scope: "row" }, T("col_gate")), ...both.map(({ info }) => make("td", { class: "n" }, T(info.gate.passed ? "gate_passed" : "gate_failed"))))));
      const series = (points) => both.map((model, i) => ({ name: names[i], tone: tones[i], points: points(model) }));
      const first = both[0].curve;
      const day = (ns) => format.day(ns / 1e9);
      const shares = document_?.importance ?? both[0].importance.map(({ share, ...feature }) => ({ ...feature, shares: [share] }));
      return [
        document_?.differ.length ? make("p", { class: "pg-note warn" }, T("differ", { what: document_.differ.map((what) => T(`differ_${what}`)).join(", ") })) : null,
        make("div", { class: "pg-three" }, table, make("div", {},
          lines({
            title: T("plot_equity"), x: day, y: (value) => format.number(value, 0), xTicks: 3,
            series: [...series((model) => model.curve.ts_ns.map((ns, i) => [ns, model.curve.model[i]])),
              { name: T("plot_hold"), tone: "hold", dashed: true, points: first.ts_ns.map((ns, i) => [ns, first.buy_and_hold[i]]) }],
            band: first.random.length ? { name: T("plot_luck"), points: first.ts_ns.map((ns, i) => [ns, first.random[0][i], first.random[2][i]]) } : null,
          }),
          lines({
            title: T("plot_calibration"), diagonal: T("plot_perfect"), x: (value) => format.percent(value * 100, 0), y: (value) => format.percent(value * 100, 0),
            series: series((model) => model.calibration.map((bin) => [bin.predicted, bin.won])).map((one_) => ({ ...one_, dots: true })),
          })),
        bars({
          title: T("plot_importance"), value: (share) => format.percent(share, 1), series: names.map((text, i) => ({ name: text, tone: tones[i] })),
          rows: shares.slice(0, TOP).map(({ name: feature, words: noun, shares: values }) => ({ name: noun ? told(noun) : feature, note: feature, values })),
        })),
      ].filter(Boolean);
    }

    /* ---- the challenger in shadow of the champion's sessions, as the monitor saw it last */
    function shadowed(model) {
      const part = (value) => make("td", { class: "n", "data-sign": Number.isFinite(value) ? Math.sign(value) : null }, Number.isFinite(value) ? format.signedPercent(value * 100) : "–");
      const head = [["session"], ["alias_champion", 1], ["alias_challenger", 1], ["shadow_compared", 1], ["col_gate"]];
      const node = panel(T("shadow"), make("p", { class: "pg-hint" }, T(model.shadow.length ? "shadow_of" : "shadow_no_duel", { n: model.version })),
        ...(model.shadow.length ? [make("table", { class: "pg-table pg-figures" }, Pregao.page.header(...head), make("tbody", {}, ...model.shadow.map((duel) => make("tr", {},
          make("th", { scope: "row" }, make("a", { href: `/?session=${encodeURIComponent(duel.session)}` }, duel.session)), ...duel.returns.map(part),
          make("td", { class: "n" }, format.number(duel.bars, 0)), make("td", {}, why(duel.reason))))))] : []));
      node.dataset.part = "shadow";
      return node;
    }

    /* ---- what the newest version had learnt that the champion of its day had not */
    function learnt(model, champion) {
      const found = model?.changes;
      if (!found?.importance) return panel(T("learnt"), make("p", { class: "pg-hint" }, T(champion ? "learnt_nothing" : "no_champion")));
      const row = (name, [before, now], write) => make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "n" }, write(before)), make("td", { class: "n" }, write(now)));
      const share = (value) => format.percent(value, 1);
      return panel(T("learnt"), make("p", { class: "pg-hint" }, T("learnt_of", { n: model.version, champion: found.champion })),
        make("table", { class: "pg-table pg-figures" },
          make("thead", {}, make("tr", {}, make("th", { scope: "col" }, T("learnt_importance")), make("th", { scope: "col", class: "n" }, T("version", { n: found.champion })), make("th", { scope: "col", class: "n" }, T("version", { n: model.version })))),
          make("tbody", {}, ...Object.entries(found.importance).map(([name, values]) => row(told(model.words[name] ?? name), values, share)),
            row(T("learnt_examples"), found.model.examples, (value) => format.number(value, 0)),
            row(T("learnt_trees"), found.model.trees, (value) => format.number(value, 0)),
            row(T("learnt_until"), found.model.train_end_ns, (ns) => format.day(ns / 1e9)))));
    }

    /* ---- what the monitor found since the champion trades */
    async function drift(name) {
      const checks = await request(path(name, "drift"));
      if (!checks.length) return [panel(T("drift"), make("p", { class: "pg-hint" }, words(T("drift_none"))))];
      const last = checks.at(-1);
      const drifted = last.findings.filter((found) => found.drifted);
      const figure = (value) => format.number(value, 0, 3).replace("-", "\u2212");
      const limit = ({ low, high }) => (low === null ? (high === null ? "–" : `≤ ${figure(high)}`) : high === null ? `≥ ${figure(low)}` : `${figure(low)} – ${figure(high)}`);
      const called = (found) => { const key = `drift_${found.replace(" ", "_")}`; return has(key) ? T(key) : found.replace(/^feature /, `${T("drift_feature")} `); };
      const note = told(last.note) === last.note ? refusal(last.note) : told(last.note);
      const when = T("drift_when", { when: format.local(last.at_ns / 1e9), n: checks.length });
      if (!last.findings.length) return [panel(T("drift"), make("p", {}, when), make("p", { class: "pg-hint" }, note))];
      return [panel(T("drift"), make("p", {}, pill(T(drifted.length ? "drifted" : "drift_calm"), drifted.length ? "bad" : "good"), ` ${when}`),
        note ? make("p", { class: "pg-hint" }, note) : null,
        make("table", { class: "pg-table pg-figures" },
          make("thead", {}, make("tr", {}, make("th", { scope: "col" }, T("drift_what")), make("th", { scope: "col", class: "n" }, T("drift_value")), make("th", { scope: "col", class: "n" }, T("drift_usual")))),
          make("tbody", {}, ...last.findings.slice(0, 12).map((found) => make("tr", { class: found.drifted ? "no" : "" },
            make("th", { scope: "row" }, called(found.name)), make("td", { class: "n" }, figure(found.value)), make("td", { class: "n" }, limit(found)))))),
        lines({
          title: T("drift_history"), x: (s) => format.day(s), y: (value) => format.number(value, 0), xTicks: 3, yFrom: 0,
          series: [{ name: T("drift_count"), tone: "one", dots: checks.length < 40, points: checks.map((check) => [check.at_ns / 1e9, check.findings.filter((found) => found.drifted).length]) }],
        }))];
    }

    /* ---- every version: the gate's reasons with their figures, what it was made from, and making it champion */
    function gate(model) {
      const said = verdict(model);
      return make("section", { class: "pg-gate", "data-gate": said },
        make("h4", {}, `${T("col_gate")}: `, make("b", {}, T(`gate_${said}`))),
        make("ul", {}, ...(model.gate?.reasons ?? []).map((reason) => make("li", { class: reason.passed ? "ok" : "no" }, why(reason)))));
    }
    function why({ name, value, limit, text }) {
      if (name === "champion" && !Number.isFinite(value)) return T(/no champion/.test(text) ? "gate_champion_first" : /itself/.test(text) ? "gate_champion_same" : "gate_champion_few");
      return has(`gate_${name}`) ? T(`gate_${name}`, { value: figure(name, value), limit: figure(name, limit) }) : text || name;
    }
    const facts = (title, pairs) => make("section", {}, make("h4", {}, title),
      make("dl", {}, ...pairs.flatMap(([name, value, whole]) => [make("dt", {}, name), make("dd", { title: whole }, value)])));
    const digest = (name, value) => [T(name), (value || "–").slice(0, 12), value];
    function version(model, champion) {
      const said = verdict(model);
      return make("details", { class: "pg-version", "data-version": model.version, ...(model === champion ? { open: "" } : {}) },
        make("summary", {}, make("b", {}, T("version", { n: model.version })), ...badges(model),
          pill(`${T("col_gate")}: ${T(`gate_${said}`)}`, { passed: "good", failed: "bad" }[said] ?? ""), make("time", {}, format.local(model.created))),
        make("div", { class: "pg-columns" }, gate(model),
          facts(T("out_of_sample"), FIGURES.filter((name) => name in model.metrics).map((name) => [T(`metric_${name}`), figure(name, model.metrics[name])])),
          facts(T("made_from"), [digest("col_data", model.data_version), digest("made_code", model.code_version), digest("made_params", model.params_hash),
            digest("made_features", model.feature_hash), digest("made_run", model.run_id)])),
        model.promotion ? make("p", { class: "pg-note" }, promoted(model)) : null,
        make("div", { class: "acts" }, make("a", { class: "small", target: "_blank", rel: "noopener", href: path(model.name, model.version, "report") }, T("model_report")),
          model === champion ? null : make("button", { type: "button", "data-do": "promote", onclick: () => ask(model, champion, false) }, T("promote"))));
    }

    /* ---- the question before a promotion: what will change, against the gate or not, and why */
    function ask(model, champion, back) {
      const refused = (model.gate?.reasons ?? []).filter((reason) => !reason.passed);
      const made = form({
        submit: T(back ? "roll_back_do" : "promote_do"), tone: model.gate?.passed ? "primary" : "danger", more: [cancel()],
        fields: [{ name: "reason", label: T("promote_reason"), kind: "textarea", hint: T("promote_reason_hint"), required: true, attributes: { maxlength: 400 } }],
        send: async ({ reason }) => {
          await request(path(model.name, "promote"), { version: model.version, reason });
          close();
          say(T("promoted", { n: model.version }));
          await load();
        },
      });
      const close = dialog(T(back ? "roll_back" : "promote_title", { n: model.version }),
        make("p", {}, T(champion ? "promote_means" : "promote_means_first", { n: model.version, before: champion?.version, market: short(model.name) })),
        refused.length ? make("div", { class: "pg-note warn" }, make("b", {}, T("promote_refused")), make("ul", {}, ...refused.map((reason) => make("li", {}, why(reason))))) : null,
        made.node);
    }

    async function load() {
      if (!every.length) body.replaceChildren(loading());
      try {
        const [models, health] = await Promise.all([request("/api/models"), request("/api/health").catch(() => null)]);
        every = models;
        links.replaceChildren(...(health?.mlflow ? [outside(health.mlflow_address, T("mlflow"))] : [make("span", { class: "pg-hint" }, T("mlflow_away"))]));
        const names = [...new Set(models.map((model) => model.name))];
        if (!names.length) { choice.hidden = true; body.replaceChildren(empty(T("no_models"), T("no_models_do"))); return; }
        choice.replaceChildren(...names.map((name) => make("option", { value: name }, short(name))));
        choice.hidden = names.length < 2;
        const wanted = new URLSearchParams(location.search).get("model");
        draw(names.includes(wanted) ? wanted : models.find((model) => model.aliases.includes("champion"))?.name ?? names[0]);
      } catch (error) {
        body.replaceChildren(broken(error, load));
      }
    }
    load();
  };
})();
