// What the animations of the ideas share: a custom element that waits for its data, hides the
// still picture before it, and has charts, sliders, a play button and a line of text. The charts
// come from _chart.js.
// A subclass has build(data), called once, and draw(), called after every change of a control.
if (!window.ScalinvIdea) {
  const CALM = matchMedia("(prefers-reduced-motion: reduce)");
  const OUTPUT = ".jp-OutputArea-child, .output_area, .output";
  // Colours are mixed with that of the text, which is dark on light pages and light on dark ones.
  const STYLE = `
    :host { display: block; margin: 0.5em 0; color: inherit;
      --truth: color-mix(in srgb, #0072b2 75%, currentColor);
      --attempt: color-mix(in srgb, #d55e00 75%, currentColor);
      --faint: color-mix(in srgb, currentColor 20%, transparent); }
    .figures { display: flex; flex-wrap: wrap; gap: 0.5em; }
    .figures > svg { flex: 1 1 290px; min-width: 0; max-width: 460px; overflow: visible; }
    .panel { flex: 1 1 290px; min-width: 0; }
    .legend { display: flex; flex-wrap: wrap; gap: 0 1.2em; margin: 0.3em 0; }
    .legend svg { width: 30px; height: 10px; margin-right: 6px; }
    text { font: 12px sans-serif; fill: currentColor; }
    .end { text-anchor: end; } .middle { text-anchor: middle; } .title { font-weight: bold; }
    path, line, circle { fill: none; stroke: currentColor; stroke-width: 1.5; }
    .truth { stroke: var(--truth); } .attempt { stroke: var(--attempt); }
    .axis, .grid { stroke: var(--faint); stroke-width: 1; }
    .thick { stroke-width: 2.5; } .dashed { stroke-dasharray: 6 4; } .pale { opacity: 0.35; }
    .dot { fill: currentColor; } .dot.truth { fill: var(--truth); }
    .dot.attempt { fill: var(--attempt); }
    image { image-rendering: pixelated; }
    .controls { display: flex; flex-wrap: wrap; gap: 0.2em 1em; align-items: end; }
    .pair { display: flex; gap: 1em; align-items: end; flex: 2 1 17em; }
    label { display: flex; flex-wrap: wrap; flex: 1 1 11em; gap: 0 0.5em; align-items: center;
      cursor: pointer; }
    label.box { flex: 0 1 auto; }
    input[type="range"] { width: 100%; height: 44px; margin: 0; accent-color: var(--truth);
      cursor: pointer; }
    input[type="checkbox"] { width: 24px; height: 24px; margin: 10px; accent-color: var(--truth); }
    .value { font-weight: bold; font-variant-numeric: tabular-nums; }
    button { min-width: 88px; min-height: 44px; font: inherit; color: inherit; cursor: pointer;
      border: 1px solid currentColor; border-radius: 6px;
      background: color-mix(in srgb, currentColor 8%, transparent); }
    input:focus-visible, button:focus-visible { outline: 3px solid var(--truth);
      outline-offset: 2px; }
    .said { min-height: 3em; margin: 0.3em 0; font-variant-numeric: tabular-nums; }
    .live { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
      white-space: nowrap; }`;

  window.ScalinvIdea = class extends HTMLElement {
    connectedCallback() {
      const script = this.querySelector('script[type="application/json"]');
      if (!script) { // the page is still being read, and has not come to the data
        const again = () => this.connectedCallback();
        document.addEventListener("DOMContentLoaded", again, { once: true });
        return;
      }
      if (!this.shadowRoot) { // otherwise it was moved in the document, and is alive already
        this.attachShadow({ mode: "open" });
        this.add("style").textContent = STYLE;
        this.figures = this.add("div", "figures");
        this.panel = this.add("div", "panel");
        this.controls = this.add("div", "controls", this.panel);
        this.said = this.add("p", "said", this.panel);
        this.live = this.add("p", "live", this.panel);
        this.live.setAttribute("role", "status");
        this.add("slot");
        this.build(JSON.parse(script.textContent));
        this.figures.append(this.panel);
        this.draw();
        clearTimeout(this.reading); // nothing has happened yet
      }
      const still = this.closest(OUTPUT)?.previousElementSibling;
      if (still?.matches("img") || still?.querySelector("img")) still.style.display = "none";
    }

    disconnectedCallback() {
      this.pause?.();
    }

    add(tag, className = "", parent = this.shadowRoot) {
      const node = parent.appendChild(document.createElement(tag));
      node.className = className;
      return node;
    }

    // A chart below the others (see _chart.js).
    chart(options) {
      return window.ScalinvChart.make(this.figures, options);
    }

    // A range input with a name; text(value) is shown beside it and read out.
    slider(name, { min, max, step = 1, value }, text) {
      const label = this.add("label", "", this.controls);
      label.append(name);
      const shown = this.add("span", "value", label), input = this.add("input", "", label);
      shown.setAttribute("aria-hidden", "true");
      Object.assign(input, { type: "range", min, max, step });
      input.setAttribute("aria-label", name);
      input.turnTo = (number) => {
        input.value = number;
        shown.textContent = text(+input.value);
        input.setAttribute("aria-valuetext", shown.textContent);
      };
      input.oninput = () => {
        input.turnTo(input.value);
        this.draw();
      };
      input.turnTo(value);
      return input;
    }

    // What the kinds of lines are: pairs [class, text].
    legend(...kinds) {
      const legend = this.add("div", "legend", this.panel);
      this.panel.prepend(legend);
      for (const [className, text] of kinds) {
        const item = this.add("span", "", legend);
        const { svg } = window.ScalinvChart;
        const line = svg("svg", { viewBox: "0 0 30 10", "aria-hidden": "true" }, item);
        svg("path", { class: className, d: "M0 5H30" }, line);
        item.append(text);
      }
    }

    // A button that moves a slider from where it is to its end: in jumps where motion is reduced.
    player(input, seconds) {
      let timer = 0, place = 0;
      const span = input.max - input.min, button = this.add("button", "", this.controls);
      const pair = this.add("div", "pair", this.controls);
      pair.append(button, input.parentElement);
      Object.assign(button, { type: "button", textContent: "Play" });
      button.onclick = () => (timer ? this.pause() : start());
      const start = () => {
        place = +input.value < +input.max ? +input.value : +input.min;
        button.textContent = "Pause";
        timer = setInterval(go, CALM.matches ? 1000 : 40);
      };
      const go = () => {
        place += CALM.matches ? span / 8 : (span * 0.04) / seconds;
        input.turnTo(Math.min(place, input.max));
        this.draw();
        if (place >= +input.max) this.pause();
      };
      this.pause = () => {
        clearInterval(timer);
        timer = 0;
        button.textContent = "Play";
      };
      input.addEventListener("input", this.pause);
    }

    // Write a number with a true minus.
    number(value, digits) {
      const text = value.toFixed(digits);
      return text.startsWith("-") && +text !== 0 ? `−${text.slice(1)}` : text.replace("-", "");
    }

    // Show a text; a screen reader gets it when it has stood still for a while.
    say(text) {
      this.said.textContent = text;
      clearTimeout(this.reading);
      this.reading = setTimeout(() => { this.live.textContent = text; }, 600);
    }
  };
}
