"use strict";

// Half a second of sound, from a microphone, a file, or made here; and what is to be said of it.
//
// Each way gives {x, notes}: 4096 samples at 8 kHz, and sentences for the reader. What cannot be
// used throws a Refusal, whose message is a sentence.

(() => {
  const RATE = 8000, N = 4096, FADE = 80, SECONDS = 2;
  const LARGEST = 50e6, SHORTEST = 0.1, SILENT = 1e-5, QUIET = 0.01, FULL = 0.985, CLIPPED = 4;
  const voice = (globalThis.scalinvVoice ??= {});

  class Refusal extends Error {}

  const below = (value) => `${(-20 * Math.log10(value)).toFixed(0)} dB`;
  const peakOf = (x) => x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

  // Where the N samples with the largest energy begin.
  function loudest(x) {
    let energy = 0, best = 0, most = -1;
    for (let t = 0; t < x.length; t++) {
      energy += x[t] ** 2 - (t >= N ? x[t - N] ** 2 : 0);
      if (t >= N - 1 && energy > most * (1 + 1e-9)) [most, best] = [energy, t - N + 1];
    }
    return best;
  }

  // The loudest half second, faded in and out over 10 ms, as the transform takes it for periodic.
  function halfSecond(x) {
    const notes = [], first = loudest(x), part = new Float64Array(N);
    part.set(x.slice(first, first + N));
    const length = Math.min(N, x.length);
    for (let t = 0; t < FADE; t++) {
      const weight = Math.sin((Math.PI / 2) * ((t + 0.5) / FADE)) ** 2;
      part[t] *= weight;
      part[length - 1 - t] *= weight;
    }
    if (x.length < N) {
      notes.push(`It lasts ${(x.length / RATE).toFixed(2)} s; silence fills up half a second.`);
    } else if (x.length > N + FADE) {
      const from = (first / RATE).toFixed(2), to = ((first + N) / RATE).toFixed(2);
      notes.push(`The loudest half second is used, ${from} to ${to} s.`);
    }
    return { x: part, notes };
  }

  // Mix, check, cut: `channels` are arrays at 8 kHz, `what` begins the sentences.
  function checked(channels, what) {
    const seconds = channels[0].length / RATE;
    if (seconds < SHORTEST) {
      throw new Refusal(`${what} lasts ${seconds.toFixed(2)} s; it takes at least ${SHORTEST} s.`);
    }
    const loud = Math.max(...channels.map(peakOf));
    const x = Float64Array.from(channels[0], (_, t) =>
      channels.reduce((sum, channel) => sum + channel[t], 0) / channels.length);
    const notes = [];
    if (channels.length > 1) {
      notes.push(`Its ${channels.length} channels were averaged into one.`);
      if (loud > SILENT && peakOf(x) < SILENT) {
        throw new Refusal(`${what} has channels that cancel each other: their average is silence.`);
      }
    }
    if (peakOf(x) < SILENT) throw new Refusal(`${what} is silent, so there is nothing to recover.`);
    const cut = halfSecond(x), peak = peakOf(cut.x);
    const full = (channel) => channel.filter((value) => Math.abs(value) >= FULL).length;
    if (channels.some((channel) => full(channel) >= CLIPPED)) {
      notes.push("It is clipped: it reaches full scale, and the distortion counts as part of it.");
    }
    if (peak < QUIET) {
      notes.push(`It is quiet, ${below(peak)} below full scale, and is played louder here.`);
    }
    return { x: cut.x, notes: [...notes, ...cut.notes] };
  }

  async function decoded(bytes, what) {
    let sound;
    try {
      // It resamples to the rate of its context.
      sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
    } catch {
      throw new Refusal(`This browser cannot read ${what} as sound; try a WAV or MP3 file.`);
    }
    return Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k));
  }

  async function fromFile(file) {
    const megabytes = (file.size / 1e6).toFixed(0);
    if (file.size > LARGEST) {
      throw new Refusal(`${file.name} has ${megabytes} MB; this page takes at most 50 MB.`);
    }
    return checked(await decoded(await file.arrayBuffer(), file.name), file.name);
  }

  const REASONS = {
    NotAllowedError: "The microphone may not be used here: permission was not given.",
    NotFoundError: "No microphone was found.",
    NotReadableError: "The microphone is in use by another program.",
  };
  const OTHERWISE = " Choose a file or use the example instead.";

  async function microphone() {
    if (!navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) {
      throw new Refusal("This browser does not offer a microphone to this page." + OTHERWISE);
    }
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    try {
      return await navigator.mediaDevices.getUserMedia({ audio: plain });
    } catch (error) {
      throw new Refusal((REASONS[error.name] ?? "The microphone does not work.") + OTHERWISE);
    }
  }

  // Record two seconds; onStart() when it begins, onLevel(dB) about 60 times a second.
  async function fromMicrophone(onStart, onLevel) {
    const stream = await microphone(), context = new AudioContext();
    const meter = context.createAnalyser(), buffer = new Float32Array(meter.fftSize);
    context.createMediaStreamSource(stream).connect(meter);
    const recorder = new MediaRecorder(stream), pieces = [];
    recorder.ondataavailable = (event) => pieces.push(event.data);
    const ended = new Promise((resolve) => { recorder.onstop = resolve; });
    const show = () => {
      meter.getFloatTimeDomainData(buffer);
      onLevel(20 * Math.log10(Math.max(peakOf(buffer), 1e-3)));
    };
    recorder.start();
    onStart(SECONDS);
    const ticking = setInterval(show, 16);
    setTimeout(() => recorder.stop(), 1000 * SECONDS);
    await ended;
    clearInterval(ticking);
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    const bytes = await new Blob(pieces, { type: recorder.mimeType }).arrayBuffer();
    return checked(await decoded(bytes, "the recording"), "The recording");
  }

  // A voice that says something like "ya-o": harmonics of a gliding pitch below three resonances.
  function example() {
    const x = new Float64Array(N);
    let turn = 0;
    for (let t = 0; t < N; t++) {
      const s = t / N, pitch = 118 + 40 * s - 60 * s * s;
      const open = Math.sin(Math.PI * Math.min(1, 1.6 * s)) ** 2, round = s ** 2;
      const resonances = [
        [320 + 420 * open, 90, 1], [2200 - 900 * open - 1100 * round, 140, 0.6],
        [2900 - 400 * round, 220, 0.3]];
      turn += (2 * Math.PI * pitch) / RATE;
      for (let h = 1; h * pitch < 3700; h++) {
        const gain = resonances.reduce((sum, [centre, width, height]) =>
          sum + height / (1 + ((h * pitch - centre) / width) ** 2), 0.002);
        x[t] += (gain / Math.sqrt(h)) * Math.cos(h * turn + 0.7 * h * h);
      }
      x[t] *= 0.25 * Math.sin(Math.PI * s) ** 1.5 * (1 - 0.8 * Math.exp(-(((s - 0.62) / 0.06) ** 2)));
    }
    return { x: halfSecond(x).x, notes: [] };
  }

  Object.assign(voice, { RATE, N, Refusal, fromFile, fromMicrophone, example });
})();
