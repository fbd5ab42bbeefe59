// uses clock.js
// uses sound_card.js
//
// <scalinv-sounds>: a set of sounds on one clock and at one gain.
//
// The sounds are those of the fallback's audio elements, the pictures its img elements. The data:
// {"note": words, "sounds": [{"label": words, "level": words, "difference": words or null}, ...]}
// A page may call play(index), stop() and seek(seconds), read position, duration, playing, ended
// and selected, and listen to the event "scalinv-sounds", which tells of every change.
// clock.js makes the sound, sound_card.js one card.
if (!customElements.get("scalinv-sounds")) {
  const { Clock, soundCard: { card, make, toggle, style } } = window.scalinv;

  const STYLE = `
    :host { display: block; margin: .5em 0; color: inherit; font: inherit; line-height: 1.35;
      --line: color-mix(in srgb, currentColor 30%, transparent);
      --truth: color-mix(in srgb, #0072B2 70%, currentColor);
      --attempt: color-mix(in srgb, #D55E00 70%, currentColor); }
    ul { display: grid; gap: .75em; margin: 0; padding: 0; list-style: none;
      grid-template-columns: repeat(auto-fill, minmax(min(100%, max(15em, 31%)), 1fr)); }
    ul.four { grid-template-columns: repeat(auto-fill, minmax(min(100%, max(15em, 40%)), 1fr)); }
    button { min-width: 44px; min-height: 44px; padding: 0 .8em; border: 1px solid currentColor;
      border-radius: 6px; background: none; color: inherit; font: inherit; cursor: pointer; }
    button[aria-pressed=true] { background: color-mix(in srgb, currentColor 18%, transparent); }
    button:focus-visible { outline: 3px solid; outline-offset: 2px; }
    small { display: block; margin-top: .4em; font-size: .85em; }
    .bar { display: flex; flex-wrap: wrap; align-items: center; gap: .6em; margin-top: .75em; }
    .bar span { flex: 1 1 12em; font-size: .85em; }
    ${style}`;

  customElements.define("scalinv-sounds", class extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return; // it was only moved
      const data = this.querySelector('script[type="application/json"]');
      if (data) this.build(JSON.parse(data.textContent));
      else this.whenParsed(() => this.connectedCallback());
    }
    whenParsed(action) {
      document.addEventListener("DOMContentLoaded", action, { once: true });
    }
    disconnectedCallback() {
      if (this.playing) this.stop();
    }

    get playing() { return Boolean(this.clock && this.clock.playing); }
    get position() { return this.clock.position; }
    get duration() { return this.clock.duration; }
    get ended() { return this.clock.ended; }
    get selected() { return this.clock.selected; }
    play(index) { return this.clock.play(index); }
    stop() { this.clock.stop(); }
    seek(seconds) { this.clock.seek(seconds); }

    build({ note, sounds }) {
      this.dataset.lmSuppressShortcuts = "true"; // the keys 1 to 4 are JupyterLab's as well
      this.sounds = sounds;
      const uris = [...this.querySelectorAll("audio")].map(audio => audio.getAttribute("src"));
      this.clock = new Clock(uris, () => this.changed());
      this.cards = this.makeCards([...this.querySelectorAll("img")]);
      this.list = make("ul", {}, ...this.cards.map(({ item }) => item));
      this.list.classList.toggle("four", sounds.length === 4);
      const keys = sounds.length > 1 ? ` The keys 1 to ${sounds.length} switch.` : "";
      this.attachShadow({ mode: "open" }).append(
        make("style", {}, STYLE), this.list, this.makeBar(), make("small", {}, note + keys));
      this.shadowRoot.addEventListener("keydown", event => this.pressed(event));
      this.clock.ready.then(() => this.changed(), error => this.giveUp(error));
    }
    makeCards(images) {
      const { clock, sounds } = this;
      return sounds.map((sound, k) => {
        const press = () => (clock.playing && clock.selected === k ? clock.stop() : clock.play(k));
        const seek = share => clock.seek(share * clock.length(k), k);
        const picture = images.length === sounds.length ? images[k] : null;
        return card(sound, sounds.length > 1 ? k + 1 : 0, picture, press, seek);
      });
    }
    makeBar() {
      const { clock } = this;
      this.loop = toggle("Loop", () => clock.loop(!clock.looping));
      this.subtract = toggle("Difference", () => clock.subtract(!clock.minus));
      this.live = make("span", { "aria-live": "polite" });
      const buttons = this.sounds.some(sound => sound.difference) ? [this.subtract] : [];
      return make("div", { class: "bar" }, this.loop, ...buttons, this.live);
    }
    giveUp(error) {
      const words = `This browser decodes no such sound (${error.message}): its own players.`;
      this.shadowRoot.replaceChildren(make("p", {}, words), make("slot"));
    }

    pressed(event) {
      const index = Number(event.key) - 1;
      if (event.ctrlKey || event.altKey || event.metaKey || !(index in this.sounds)) return;
      event.preventDefault();
      this.play(index);
    }
    changed() {
      const { clock } = this;
      this.cards.forEach(({ press }, k) => press(clock.playing && k === clock.selected));
      this.loop.setAttribute("aria-pressed", clock.looping);
      this.subtract.setAttribute("aria-pressed", clock.minus);
      this.live.textContent = this.inWords();
      this.draw();
      this.showPosition();
      if (clock.playing) this.follow(clock.run);
      Object.assign(this.dataset, { playing: clock.playing, selected: clock.selected });
      this.dispatchEvent(new CustomEvent("scalinv-sounds", { bubbles: true }));
    }
    inWords() {
      const { minus, playing, selected } = this.clock, { label, difference } = this.sounds[selected];
      const words = minus && selected ? difference : label;
      return playing ? `Playing: ${words}` : "";
    }
    draw() {
      const { buffers, minus } = this.clock;
      if (!buffers || this.drawn === minus) return;
      this.drawn = minus;
      this.list.classList.toggle("minus", minus);
      const waves = buffers.map(buffer => buffer.getChannelData(0));
      const peak = wave => wave.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const scale = Math.max(...waves.map(peak)) || 1; // one for all, difference or not
      const less = wave => waves[0].map((value, t) => value - wave[t]);
      this.cards.forEach((shown, k) => shown.draw(minus && k ? less(waves[k]) : waves[k], scale));
    }
    follow(run) {
      if (this.following === run) return;
      this.following = run;
      const step = () => {
        if (this.clock.run !== run) return;
        this.showPosition();
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }
    showPosition() {
      const { clock } = this, { position } = clock;
      this.cards.forEach(({ moveTo }, k) => {
        const length = clock.length(k);
        const words = `${position.toFixed(2)} of ${length.toFixed(2)} seconds`;
        if (length) moveTo(position / length, clock.playing ? "" : words);
      });
    }
  });
}
