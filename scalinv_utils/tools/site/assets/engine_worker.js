"use strict";

// The engine at work beside the page, so that the page does not freeze.
//
// A page that is opened from a file may not load a worker from a path. The engine's parts are
// therefore functions that need nothing but their argument, and the worker's source is their text.
//
//     const worker = scalinvEngine.startWorker((reply) => ...);
//     worker.ask({ task: "listen", x, ticket: 1 });         replies carry the task and the ticket
//
//     listen      x -> the part that the filters hear, and its scalogram
//     scramble    a signal with the modulus and a random phase
//     griffinLim  `steps` steps from there, or from where the last ones ended; a reply for each
//     recover     the phase gradient with corrections; a reply for each step, with levels after
//                 each round, until the fit is below -150 dB
//     stop        ends what runs, after the step that it is in

(() => {
  function serve(engine) {
    const COLUMNS = 512, RANGE_DB = 60, ENOUGH_DB = -150, ROUNDS = 6;

    // Take tasks for one signal; `send` gets the replies.
    engine.serve = (send) => {
      const bank = new engine.Bank();
      let truth, S, loudest, descent, running = 0;

      // The scalogram for a picture: the largest of some columns, 60 dB as 0 ... 255.
      function picture(M) {
        const wide = bank.n / COLUMNS, levels = new Uint8Array(bank.rows * COLUMNS);
        for (let k = 0; k < levels.length; k++) {
          let most = 0;
          for (let t = k * wide; t < (k + 1) * wide; t++) most = Math.max(most, M[t]);
          const level = 1 + engine.decibels(most / loudest) / RANGE_DB;
          levels[k] = 255 * Math.min(1, Math.max(0, level));
        }
        return { levels, rows: bank.rows, columns: COLUMNS };
      }

      // How far a signal is: with it, the rotation of it that comes closest to the truth.
      function judged(x) {
        const M = bank.magnitude(x);
        return {
          x,
          turned: engine.align(bank.fft, x, truth),
          consistency: engine.misfitDb(M, S),
          error: engine.waveformErrorDb(bank.fft, x, truth),
          picture: picture(M),
        };
      }

      const tasks = {
        *listen({ x }) {
          truth = bank.project(x);
          S = bank.magnitude(truth);
          loudest = S.reduce((a, b) => Math.max(a, b));
          descent = null;
          yield { x: truth, picture: picture(S), frequencies: bank.frequencies };
        },
        *scramble({ seed }) {
          const x = bank.fromPolar(S, engine.randomPhase(S.length, seed));
          descent = new engine.GriffinLim(bank, S, x);
          yield { ...judged(x), level: engine.decibels(engine.rms(x) / engine.rms(truth)) };
        },
        *griffinLim({ steps }) {
          for (let k = 0; k < steps; k++) {
            const x = descent.step();
            yield { ...judged(x), step: descent.steps, last: k === steps - 1 };
          }
        },
        *recover({ seed }) {
          for (const { round, step, x } of engine.recover(bank, S, { rounds: ROUNDS, seed })) {
            const whole = step === engine.SETTLING_STEPS;
            const reply = { ...(whole ? judged(x) : {}), round, rounds: ROUNDS, step };
            reply.last = whole && (round === ROUNDS || reply.consistency < ENOUGH_DB);
            yield reply;
            if (reply.last) return;
          }
        },
      };

      // Between two steps, messages are let in: "stop", or another task, ends this one.
      return async ({ task, ticket, ...options }) => {
        const own = ++running;
        if (task === "stop") return;
        try {
          for (const reply of tasks[task](options)) {
            send({ task, ticket, ...reply });
            await new Promise((resume) => setTimeout(resume));
            if (own !== running) return;
          }
        } catch (error) {
          send({ task, ticket, failed: String(error) });
        }
      };
    };
  }

  const engine = (globalThis.scalinvEngine ??= { parts: [] });
  engine.parts.push(serve);
  serve(engine);

  // Return {ask(message)}; without workers the page itself does the work.
  engine.startWorker = (onReply) => {
    const source = `"use strict"; const engine = {};
      ${engine.parts.map((part) => `(${part})(engine);`).join("\n")}
      const receive = engine.serve((reply) => postMessage(reply));
      onmessage = (event) => receive(event.data);`;
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    try {
      const worker = new Worker(url);
      worker.onmessage = (event) => onReply(event.data);
      worker.onerror = (event) => onReply({ failed: event.message });
      return { ask: (message) => worker.postMessage(message) };
    } catch {
      const receive = engine.serve(onReply);
      return { ask: (message) => setTimeout(receive, 0, message) };
    }
  };
})();
