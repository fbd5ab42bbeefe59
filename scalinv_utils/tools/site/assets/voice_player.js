"use strict";

// Buttons that play and stop; one sound at a time, and all of one page at one gain.

(() => {
  const voice = (globalThis.scalinvVoice ??= {});
  const PEAK = 0.5;

  class Player {
    constructor() {
      this.gain = 1;
      this.playing = null;
    }

    // The sound x, and so all others, at a peak of a half: the others may have larger peaks.
    level(x) {
      this.gain = PEAK / (x.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1);
    }

    // Let `button` play the sound that sound() returns.
    serve(button, sound) {
      const words = button.textContent;
      button.addEventListener("click", () => {
        const mine = this.playing?.button === button;
        this.stop();
        if (!mine) this.start(button, sound(), words);
      });
    }

    start(button, x, words) {
      this.context ??= new AudioContext();
      this.context.resume();
      const buffer = this.context.createBuffer(1, x.length, voice.RATE);
      buffer.copyToChannel(Float32Array.from(x, (value) => this.gain * value), 0);
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.context.destination);
      source.onended = () => { if (this.playing?.source === source) this.stop(); };
      this.playing = { button, source, words };
      button.textContent = "Stop playing";
      source.start();
    }

    stop() {
      if (!this.playing) return;
      const { button, source, words } = this.playing;
      this.playing = null;
      button.textContent = words;
      source.stop();
    }
  }

  voice.Player = Player;
})();
