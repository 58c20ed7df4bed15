/* The Models page: the registered versions, what the gate said of each, and what each was made from. */
(() => {
  "use strict";
  if (Pregao.modelsPage) return;
  const { T, has, format, make, request } = Pregao;
  const { empty } = Pregao.page;

  Pregao.modelsPage = (root) => {
    const body = make("div", {});
    const mlflow = make("a", { class: "small", target: "_blank", rel: "noopener noreferrer", hidden: "" }, T("mlflow"));
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("models")), mlflow), make("p", { class: "pg-lead" }, T("gate_explained")), body);

    /* Figures that are fractions are shown in per cent. */
    const FIGURES = ["net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "profit_factor", "auc", "random_p"];
    const FRACTIONS = ["net_return", "max_drawdown", "hit_rate", "costs", "doubled_costs", "drawdown", "skill", "overfitting", "calibration"];
    const figure = (name, value) => (!Number.isFinite(value) ? "–" : FRACTIONS.includes(name) ? format.percent(value * 100)
      : format.number(value, 0, ["auc", "random_p", "random_entries", "deflated_sharpe"].includes(name) ? 3 : 2));
    const verdict = (model) => (model.gate ? (model.gate.passed ? "passed" : "failed") : "unknown");

    function gate(model) {
      const said = verdict(model);
      return make("section", { class: "pg-gate", "data-gate": said },
        make("h4", {}, `${T("col_gate")}: `, make("b", {}, T(`gate_${said}`))),
        make("ul", {}, ...(model.gate?.reasons ?? []).map(({ name, passed, value, limit, text }) =>
          make("li", { class: passed ? "ok" : "no" },
            has(`gate_${name}`) ? T(`gate_${name}`, { value: figure(name, value), limit: figure(name, limit) }) : text || name))));
    }
    const facts = (title, pairs) => make("section", {}, make("h4", {}, title),
      make("dl", {}, ...pairs.flatMap(([name, value, whole]) => [make("dt", {}, name), make("dd", { title: whole }, value)])));
    const short = (name, value) => [T(name), (value || "–").slice(0, 12), value];
    function version(model) {
      const said = verdict(model);
      return make("details", { class: "pg-version", "data-version": model.version, ...(model.aliases.includes("champion") ? { open: "" } : {}) },
        make("summary", {},
          make("b", {}, T("version", { n: model.version })),
          ...model.aliases.map((alias) => make("span", { class: `pg-badge ${alias === "champion" ? "good" : ""}` }, has(`alias_${alias}`) ? T(`alias_${alias}`) : alias)),
          make("span", { class: "pg-pill", "data-status": { passed: "running", failed: "failed" }[said] ?? "" }, `${T("col_gate")}: ${T(`gate_${said}`)}`),
          make("time", {}, format.local(model.created))),
        make("a", { class: "small", target: "_blank", rel: "noopener", href: `/api/models/${encodeURIComponent(model.name)}/${model.version}/report` }, T("model_report")),
        make("div", { class: "pg-columns" },
          gate(model),
          facts(T("out_of_sample"), FIGURES.filter((name) => name in model.metrics).map((name) => [T(`metric_${name}`), figure(name, model.metrics[name])])),
          facts(T("lineage"), [short("col_data", model.data_version), short("made_code", model.code_version), short("made_params", model.params_hash),
            short("made_features", model.feature_hash), short("made_run", model.run_id)])));
    }
    async function load() {
      body.replaceChildren(make("p", { class: "pg-empty" }, T("loading")));
      try {
        const [models, health] = await Promise.all([request("/api/models"), request("/api/health")]);
        if (health.mlflow) { mlflow.href = health.mlflow_address; mlflow.hidden = false; }
        if (!models.length) { body.replaceChildren(empty(T("no_models"), T("no_models_do"))); return; }
        const names = [...new Set(models.map((model) => model.name))];
        body.replaceChildren(...names.map((name) => make("section", { class: "pg-model", "data-model": name },
          make("h3", {}, name), ...models.filter((model) => model.name === name).map(version))));
      } catch (error) {
        body.replaceChildren(empty(T("failed"), error.message), make("button", { type: "button", class: "small", onclick: load }, T("retry")));
      }
    }
    load();
  };
})();
