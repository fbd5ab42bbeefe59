// scalinv.soundCard: one sound on the screen, as scalinv-sounds shows several.
//
// A button, the label, the waveform over the scalogram, and the words for the level. The slider
// lies over both pictures and its handle is the cursor: click, drag or arrow keys seek.
window.scalinv ??= {};
if (!window.scalinv.soundCard) {
  const COLUMNS = 300;

  const style = `
    li { min-width: 0; padding: .5em; border: 1px solid var(--line); border-radius: 6px; }
    li.on { border-color: currentColor; box-shadow: 0 0 0 1px currentColor; }
    .head { display: flex; align-items: center; gap: .6em; margin-bottom: .4em; }
    b { flex: 1; min-width: 0; overflow-wrap: anywhere; font-weight: 600; }
    kbd { padding: 0 .4em; border: 1px solid var(--line); border-radius: 4px;
      font: inherit; font-size: .8em; }
    .play { flex: none; padding: 0; border-radius: 50%; }
    .play::before { content: ""; display: block; width: 14px; height: 16px; margin: auto;
      background: currentColor; clip-path: polygon(10% 0, 100% 50%, 10% 100%); }
    .play[aria-pressed=true]::before { clip-path: none; height: 14px; }
    .view { position: relative; }
    .view:has(:focus-visible) { outline: 3px solid; outline-offset: 2px; }
    svg { display: block; width: 100%; height: 48px; color: var(--attempt); }
    li:first-child svg { color: var(--truth); }
    .minus li:not(:first-child) svg { color: inherit; }
    path { fill: currentColor; stroke: currentColor; vector-effect: non-scaling-stroke; }
    img { display: block; width: 100%; height: 80px; margin-top: 2px; }
    input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; padding: 0;
      appearance: none; background: none; outline: none; cursor: crosshair; touch-action: pan-y; }
    input::-webkit-slider-runnable-track { height: 100%; }
    input::-webkit-slider-thumb { appearance: none; width: 2px; height: 100%;
      background: #fff; box-shadow: 0 0 0 1px #000; }
    input::-moz-range-track { height: 100%; background: none; }
    input::-moz-range-thumb { width: 2px; height: 100%; border: 0; border-radius: 0;
      background: #fff; box-shadow: 0 0 0 1px #000; }`;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // A button that is pressed or not; `aria-pressed` is set by whoever knows the state.
  function toggle(words, action, attributes = {}) {
    const button = make("button", { type: "button", "aria-pressed": "false", ...attributes }, words);
    button.addEventListener("click", action);
    return button;
  }

  // The outline of a waveform as the path of an SVG that is COLUMNS wide and 2 high.
  function outline(samples, scale) {
    const top = [], bottom = [], step = samples.length / COLUMNS;
    for (let column = 0; column < COLUMNS; column++) {
      const from = Math.floor(column * step);
      const part = samples.subarray(from, Math.max(from + 1, Math.floor((column + 1) * step)));
      const high = Math.max(...part), low = Math.min(...part);
      top.push(`${column},${(1 - high / scale).toFixed(3)}`);
      bottom.unshift(`${column},${(1 - low / scale).toFixed(3)}`);
    }
    return `M${top.join("L")}L${bottom.join("L")}Z`;
  }

  function slider(label, seek) {
    const input = make("input", { type: "range", min: 0, max: 100, step: "any", value: 0,
      "aria-label": `Position in ${label}` });
    input.addEventListener("input", () => seek(input.value / 100));
    input.addEventListener("click", event => { // on some phones a tap does not move a slider
      const box = input.getBoundingClientRect();
      seek((event.clientX - box.left) / box.width);
    });
    return input;
  }

  // `press()` is called when the button is pressed, `seek(share)` with a share of the duration.
  function card({ label, level, difference }, number, picture, press, seek) {
    const play = toggle("", press, { class: "play", "aria-label": `Play: ${label}` });
    const head = make("div", { class: "head" }, play, make("b", {}, label));
    if (number) head.append(make("kbd", { "aria-hidden": "true" }, number));
    const view = make("div", { class: "view" });
    view.innerHTML = `<svg viewBox="0 0 ${COLUMNS} 2" preserveAspectRatio="none"
      aria-hidden="true"><path d="M0,1H${COLUMNS}"/></svg>`;
    if (picture) view.append(make("img", { src: picture.src, alt: picture.alt }));
    const handle = slider(label, seek), path = view.querySelector("path");
    view.append(handle);
    const item = make("li", {}, head, view);
    for (const words of [level, difference]) if (words) item.append(make("small", {}, words));
    return {
      item,
      draw: (samples, scale) => path.setAttribute("d", outline(samples, scale)),
      press: on => {
        item.classList.toggle("on", on);
        play.setAttribute("aria-pressed", on);
      },
      // `words` are for those who do not see the handle; none while it runs.
      moveTo: (share, words) => {
        handle.value = 100 * Math.min(1, share);
        if (words) handle.setAttribute("aria-valuetext", words);
      },
    };
  }

  window.scalinv.soundCard = { card, make, toggle, style };
}
