// scalinv.Clock: several sounds that run together, so that a switch between them is instant.
//
// All sounds start at the same moment, each with a weight of its own. To hear the second of three
// is to weigh them 0, 1, 0; the first minus the second is 1, -1, 0: sample by sample, at one gain.
window.scalinv ??= {};
if (!window.scalinv.Clock) {
  const RATE = 48000; // samples per second, of the decoded sounds and of the output alike
  const FADE = 0.01, AHEAD = 0.02; // seconds
  let output = null; // the one AudioContext of the page
  let heard = null; // the one Clock that runs

  // Browsers let a page sound only after a click or a key: this is called there.
  function wake() {
    output ??= new AudioContext({ sampleRate: RATE });
    output.resume();
  }

  // A page that was opened as a file may fetch nothing, so the sound stands in its address.
  async function decode(uri) {
    if (!uri.startsWith("data:")) throw new Error("it stands in a file of its own");
    const text = atob(uri.slice(uri.indexOf(",") + 1));
    const bytes = Uint8Array.from(text, letter => letter.charCodeAt(0));
    return new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes.buffer);
  }

  function fade(parameter, value) {
    const now = output.currentTime, from = parameter.value;
    parameter.cancelScheduledValues(now);
    parameter.setValueAtTime(from, now);
    parameter.linearRampToValueAtTime(value, now + FADE);
  }

  // All sounds from one start to one stop.
  class Run {
    constructor(buffers, weights, { offset, length, looping }) {
      Object.assign(this, { offset, length, looping, start: output.currentTime + AHEAD });
      this.master = new GainNode(output, { gain: 0 });
      this.master.connect(output.destination);
      this.fadeInAndOut();
      this.tracks = buffers.map((buffer, k) => {
        const gain = new GainNode(output, { gain: weights[k] });
        const loop = { loop: looping, loopEnd: length };
        const source = new AudioBufferSourceNode(output, { buffer, ...loop });
        source.connect(gain).connect(this.master);
        source.start(this.start, offset);
        return { gain, source };
      });
    }
    fadeInAndOut() {
      const gain = this.master.gain, rest = this.length - this.offset;
      const short = Math.min(FADE, rest / 2);
      gain.setValueAtTime(0, this.start);
      gain.linearRampToValueAtTime(1, this.start + short);
      if (this.looping) return;
      gain.setValueAtTime(1, this.start + rest - short);
      gain.linearRampToValueAtTime(0, this.start + rest);
    }
    get position() {
      const past = this.offset + Math.max(0, output.currentTime - this.start);
      return this.looping ? past % this.length : Math.min(past, this.length);
    }
    weigh(weights) {
      this.tracks.forEach(({ gain }, k) => fade(gain.gain, weights[k]));
    }
    stop() {
      fade(this.master.gain, 0);
      for (const { source } of this.tracks) {
        source.onended = null;
        source.stop(output.currentTime + FADE);
      }
    }
  }

  window.scalinv.Clock = class {
    // `changed()` is called after every change, but not while the position merely moves on.
    constructor(uris, changed) {
      Object.assign(this, { changed, selected: 0, looping: false, minus: false, ended: false });
      Object.assign(this, { run: null, rest: 0, buffers: null });
      this.ready = Promise.all(uris.map(decode)).then(buffers => { this.buffers = buffers; });
    }
    get playing() { return this.run !== null; }
    get position() { return this.run ? this.run.position : this.rest; }
    get duration() { return this.length(this.selected); }
    length(index) { return this.buffers ? this.buffers[index].duration : 0; }

    // Play a sound; while another one plays, switch to it and go on from the same position.
    async play(index = this.selected) {
      wake();
      await this.ready;
      const { duration } = this;
      this.selected = index;
      if (this.run && this.duration === duration) this.run.weigh(this.weights());
      else this.startFrom(this.position < this.duration ? this.position : 0);
      this.changed();
    }
    // `ended` tells whether the sound came to its end; otherwise somebody stopped it.
    stop(ended = false) {
      if (this.run) this.run.stop();
      this.ended = ended;
      if (heard === this) heard = null;
      Object.assign(this, { run: null, rest: 0 });
      this.changed();
    }
    seek(position, index = this.selected) {
      this.selected = index;
      this.rest = Math.min(Math.max(0, position), this.duration);
      if (this.run) this.startFrom(this.rest);
      this.changed();
    }
    loop(looping) {
      this.looping = looping;
      if (this.run) this.startFrom(this.position);
      this.changed();
    }
    // Hear the first sound minus the one that is selected.
    subtract(minus) {
      this.minus = minus;
      if (minus && this.selected === 0) this.selected = 1;
      if (this.run) this.run.weigh(this.weights());
      this.changed();
    }

    startFrom(position) {
      if (heard && heard !== this) heard.stop();
      if (this.run) this.run.stop();
      const { looping, duration: length } = this, offset = position < length ? position : 0;
      const run = new Run(this.buffers, this.weights(), { offset, length, looping });
      run.tracks[this.selected].source.onended = () => { if (this.run === run) this.stop(true); };
      [this.run, heard] = [run, this];
    }
    weights() {
      const { minus, selected } = this;
      const alone = this.buffers.map((_, k) => (k === selected ? 1 : 0));
      return minus && selected ? alone.map((weight, k) => (k ? -weight : 1)) : alone;
    }
  };
}
