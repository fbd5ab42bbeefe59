// An explorer without a kernel: controls, and a stored picture for each of their positions.
//
// Data: title, alt, size [width, height], controls [{label, kind: "range" | "choice", texts, start}],
// sheets [URL] of `rows` pictures one below the other, in the order of the positions, the last
// control fastest; optional for each position: labels, sounds (HTML); interval (ms: a film);
// questions [{text, choices, right, because}], to be answered before the picture is shown.
if (!customElements.get("scalinv-explorer")) {
  const SLOW = 150; // ms that a picture may take before we say so
  const STYLE = `
    :host { display: block; max-width: 100%; margin: 0.5em 0; color: inherit; font: inherit;
      --line: color-mix(in srgb, currentColor 55%, transparent);
      --tint: color-mix(in srgb, currentColor 14%, transparent); }
    * { box-sizing: border-box; }
    fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
    legend, p { margin: 0; padding: 0; }
    .title, .heading { font-weight: bold; margin-bottom: 0.25em; }
    .controls { display: flex; flex-wrap: wrap; gap: 0.25em 2em; align-items: end; margin: 0.25em 0; }
    .range { flex: 0 1 20em; min-width: min(14em, 100%); }
    .range label { display: grid; grid-template-columns: 1fr auto; gap: 0 1em; }
    .range output { font-variant-numeric: tabular-nums; }
    input[type=range] { grid-column: 1 / -1; width: 100%; height: 44px; margin: 0; appearance: none;
      color: inherit; background: linear-gradient(var(--line), var(--line)) center / 100% 4px no-repeat; }
    ::-webkit-slider-thumb { appearance: none; width: 22px; height: 22px; border: 0;
      border-radius: 50%; background: currentColor; }
    ::-moz-range-thumb { width: 22px; height: 22px; border: 0; border-radius: 50%;
      background: currentColor; }
    .choices { display: flex; flex-wrap: wrap; gap: 4px; padding: 4px 0; }
    .choices label { position: relative; display: inline-grid; }
    .choices input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; }
    button, .choices span { display: inline-grid; place-items: center; min-width: 44px;
      min-height: 44px; padding: 0 0.8em; border: 1px solid var(--line); border-radius: 6px;
      background: transparent; color: inherit; font: inherit; cursor: pointer; }
    button:hover, .choices span:hover { background: var(--tint); }
    .choices input:checked + span { background: var(--tint); border: 2px solid; font-weight: bold; }
    :disabled + span, :disabled { cursor: default; }
    fieldset:disabled.controls { opacity: 0.55; }
    :focus-visible, input:focus-visible + span { outline: 3px solid; outline-offset: 2px; }
    .play { width: 6.5em; }
    .label { display: grid; font-variant-numeric: tabular-nums; margin-bottom: 0.25em; }
    .label > * { grid-area: 1 / 1; }
    .longest { visibility: hidden; }
    .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    .view { max-width: 100%; overflow-x: auto; }
    .stage { position: relative; overflow: hidden; max-width: max(100%, 600px); border-radius: 6px;
      background: #fff; color: #222; }
    .stage img { display: block; width: 100%; transition: opacity 0.1s; }
    .stage.waiting img { opacity: 0.35; }
    .stage .note { position: absolute; inset: 0; display: grid; place-content: center; gap: 0.75em;
      justify-items: center; text-align: center; }
    .question { padding: 0.35em 0; }
    .verdict:not(:empty) { padding: 0.1em 0 0.4em 0.7em; border-left: 3px solid var(--line); }`;

  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };

  // A group of radio buttons that look like buttons; `chosen` is told the number of the choice.
  const choices = (name, texts, start, chosen) => make("div", { className: "choices" },
    ...texts.map((text, k) => make("label", {},
      make("input", { type: "radio", name, value: k, checked: k === start,
        onchange: () => chosen(k) }),
      make("span", {}, text))));

  class Explorer extends HTMLElement {
    connectedCallback() {
      if (!this.shadowRoot) this.start();
      this.hideStill();
    }

    disconnectedCallback() {
      this.stop();
      if (this.still) this.still.style.display = "";
    }

    start() {
      const script = this.querySelector('script[type="application/json"]');
      if (!script) { // the parser has not come to it yet
        document.addEventListener("DOMContentLoaded", () => this.connectedCallback(), { once: true });
        return;
      }
      this.data = JSON.parse(script.textContent);
      this.at = this.data.controls.map((control) => control.start);
      this.images = new Map();
      this.build();
      if (!this.asked) this.show();
    }

    build() {
      const { title, size, controls, interval, labels, questions = [] } = this.data;
      this.stage = make("div", { className: "stage" });
      this.stage.part = "picture";  // pages may draw it for the dark
      this.stage.style.aspectRatio = size.join(" / ");
      this.stage.style.width = `${size[0]}px`;
      this.inputs = make("fieldset", { className: "controls" },
        make("legend", { className: "unseen" }, title));
      if (interval) this.inputs.append(this.playButton());
      this.inputs.append(...controls.filter((control) => control.texts.length > 1)
        .map((control) => control.kind === "choice" ? this.choice(control) : this.range(control)));
      this.said = make("span", { ariaLive: "polite", className: labels ? "" : "unseen" });
      const longest = (labels ?? [""]).reduce((a, b) => (b.length > a.length ? b : a));
      this.attachShadow({ mode: "open" }).append(make("style", {}, STYLE),
        make("p", { className: "title" }, title), ...this.ask(questions), this.inputs,
        make("p", { className: "label" }, this.said,
          make("span", { className: "longest", ariaHidden: "true" }, labels ? longest : "")),
        this.view = make("div", { className: "view" }, this.stage), make("slot", { name: "sound" }));
      // A picture that is wider than the screen scrolls, by the keyboard too.
      new ResizeObserver(() => {
        const scrolls = this.view.scrollWidth > this.view.clientWidth + 1;
        const given = { tabindex: "0", role: "region", "aria-label": `Picture: ${title}` };
        for (const [name, value] of Object.entries(given)) {
          if (scrolls) this.view.setAttribute(name, value); else this.view.removeAttribute(name);
        }
      }).observe(this.view);
    }

    range(control) {
      const k = this.data.controls.indexOf(control);
      const value = make("output", { ariaHidden: "true" });
      const input = make("input", { type: "range", min: 0, max: control.texts.length - 1, step: 1,
        value: control.start, oninput: () => { this.stop(); this.move(k, Number(input.value)); } });
      control.say = () => {
        input.value = this.at[k];
        input.ariaValueText = control.texts[this.at[k]];
        value.textContent = control.texts[this.at[k]];
      };
      control.say();
      input.ariaLabel = control.label;
      return make("div", { className: "range" },
        make("label", {}, make("span", {}, control.label), value, input));
    }

    choice(control) {
      const k = this.data.controls.indexOf(control);
      return make("fieldset", {}, make("legend", {}, control.label),
        choices(`control ${k}`, control.texts, control.start, (place) => this.move(k, place)));
    }

    move(k, place) {
      this.at[k] = place;
      this.data.controls[k].say?.();
      this.show();
    }

    playButton() {
      this.play = make("button", { type: "button", className: "play",
        onclick: () => (this.timer ? this.stop() : this.run()) }, "▶ Play");
      return this.play;
    }

    run() {
      const last = this.data.controls[0].texts.length - 1;
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (this.at[0] === last) this.move(0, 0);
      this.play.textContent = "❚❚ Pause";
      this.said.ariaLive = "off";
      this.timer = setInterval(() => {
        this.move(0, this.at[0] + 1);
        if (this.at[0] === last) this.stop();
      }, calm ? Math.max(this.data.interval, 1000) : this.data.interval);
    }

    stop() {
      if (!this.timer) return;
      clearInterval(this.timer);
      this.timer = null;
      this.play.textContent = "▶ Play";
      this.said.ariaLive = "polite";
    }

    // The questions; until all are answered the picture is covered and the controls rest.
    ask(questions) {
      if (!questions.length) return [];
      this.asked = questions.map((question) => ({ ...question, verdict: make("p", { className: "verdict" }) }));
      const skip = make("button", { type: "button", onclick: () => this.reveal() }, "Show without choosing");
      this.inputs.disabled = true;
      this.stage.append(make("div", { className: "note" }, make("span", {}, "Choose first"), skip));
      this.form = make("div", { ariaLive: "polite" }, make("p", { className: "heading" }, "Predict first"),
        ...this.asked.map((question, k) => make("fieldset", { className: "question" },
          make("legend", {}, question.text),
          choices(`question ${k}`, question.choices, -1, (place) => {
            question.chosen = place;
            if (this.asked.every((other) => other.chosen !== undefined)) this.reveal();
          }),
          question.verdict)));
      return [this.form];
    }

    reveal() {
      for (const { chosen, right, choices: texts, because, verdict } of this.asked) {
        const word = chosen === undefined ? `Answer: ${texts[right]}.`
          : chosen === right ? "✓ Right." : `✗ You chose ${texts[chosen]}; it is ${texts[right]}.`;
        verdict.append(make("strong", {}, word), ` ${because}`);
      }
      for (const input of this.form.querySelectorAll("input")) input.disabled = true;
      const inside = this.shadowRoot.activeElement;
      this.inputs.disabled = false;
      this.asked = null;
      this.show();
      if (inside) this.inputs.querySelector("button, input").focus({ preventScroll: true });
    }

    // Show the picture of the position: move its sheet so that the right part of it is in view.
    show() {
      const { alt, controls, labels, rows, sheets, sounds } = this.data;
      const count = controls.reduce((product, control) => product * control.texts.length, 1);
      const k = controls.reduce((sum, { texts }, j) => sum * texts.length + this.at[j], 0);
      const place = controls.map(({ label, texts }, j) => `${label} ${texts[this.at[j]]}`).join(", ");
      const sheet = Math.floor(k / rows);
      const image = this.sheet(sheet);
      image.alt = `${alt} Now: ${labels?.[k] ?? place}`;
      image.style.transform = `translateY(${-100 * (k - sheet * rows) / Math.min(rows, count - sheet * rows)}%)`;
      this.said.textContent = labels?.[k] ?? place;
      if (sounds) this.hear(sounds[k]);
      this.shown = image;
      const slow = setTimeout(() => this.stage.classList.add("waiting"), SLOW);
      image.ready.then(() => {
        if (this.shown === image) this.stage.replaceChildren(image);
      }, () => {
        this.stage.replaceChildren(make("div", { className: "note" }, "The picture could not be loaded."));
      }).finally(() => {
        clearTimeout(slow);
        this.stage.classList.remove("waiting");
        for (const next of [sheet + 1, sheet - 1]) if (sheets[next]) this.sheet(next);
      });
    }

    // The sheet with this number, loaded once.
    sheet(number) {
      if (!this.images.has(number)) {
        const image = make("img", { src: this.data.sheets[number], draggable: false });
        image.ready = image.decode();
        image.ready.catch(() => this.images.delete(number)); // try again when it is wanted again
        this.images.set(number, image);
      }
      return this.images.get(number);
    }

    // The players stand outside the shadow, in the style of the page.
    hear(html) {
      this.sound ??= this.appendChild(make("div", { slot: "sound" }));
      if (this.heard !== html) this.sound.innerHTML = html;
      this.heard = html;
    }

    // In a notebook the output before this one is the same as a still picture, for other viewers.
    hideStill() {
      const output = this.closest(".jp-OutputArea-child, .output_area");
      const still = this.shadowRoot && output?.previousElementSibling;
      this.still = still?.querySelectorAll("img").length === 1 ? still : null;
      if (this.still) this.still.style.display = "none";
    }
  }
  customElements.define("scalinv-explorer", Explorer);
}
