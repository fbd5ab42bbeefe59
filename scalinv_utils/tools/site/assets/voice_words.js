"use strict";

// What the page says of a result, from its numbers alone.

(() => {
  const voice = (globalThis.scalinvVoice ??= {});

  const dB = (value) => (value === -Infinity ? "minus infinity dB" : `${Math.round(value) || 0} dB`);
  const numbers = ({ consistency, error }) => `Fit ${dB(consistency)}, waveform error ${dB(error)}.`;

  // What each stage shows.
  const NAMES = {
    scramble: "the signal with random phase",
    griffinLim: "the result of Griffin-Lim",
    recover: "the recovered signal",
  };

  // 10^(-error/20) with one digit; no more than double precision has.
  const parts = (error) =>
    Number((10 ** Math.min(-error / 20, 16)).toPrecision(1)).toLocaleString("en");

  const VERDICTS = {
    scramble: (reply) => `${numbers(reply)} Coefficients with random phases nearly cancel: what is `
      + `left is ${Math.round(-reply.level)} dB quieter than the sound.`,
    griffinLim: ({ step, consistency, error }) =>
      `After ${step} ${step === 1 ? "step" : "steps"} the scalogram fits to ${dB(consistency)}, and `
      + `the waveform error is ${dB(error)}: `
      + (error > -20 ? "it is another waveform, even where short parts look alike."
        : error > -60 ? "the waveform is close, and not recovered." : "the waveform is recovered."),
    recover: ({ consistency, error }) =>
      `${error < -60 ? "Recovered" : "Not recovered"}: the scalogram fits to ${dB(consistency)}, and `
      + `the waveform error is ${dB(error)}`
      + (error < -60 ? `, one part in ${parts(error)} of the sound.` : "."),
  };

  const COUNTS = {
    griffinLim: (reply) => `Step ${reply.step}. ${numbers(reply)}`,
    recover: (reply) =>
      `${reply.round ? `After round ${reply.round}` : "Phase added up"}. ${numbers(reply)}`,
  };

  Object.assign(voice, { words: { NAMES, VERDICTS, COUNTS, numbers } });
})();
