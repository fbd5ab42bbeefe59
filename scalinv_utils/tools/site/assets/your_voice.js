"use strict";

// The page "Try it on your own voice": from a sound to four stages, each a section of the page.
//
// The worker computes, and answers with the ticket of the sound that was asked about; answers about
// an earlier sound are ignored. Stages 3 and 4 run only when their buttons are pressed; stage 2
// comes with the first, as it costs a moment.

(() => {
  const voice = globalThis.scalinvVoice, { words } = voice;
  const page = document.getElementById("your-voice"), player = new voice.Player();
  const find = (selector, within = page) => within.querySelector(selector);
  const act = (name, within) => find(`[data-act=${name}]`, within);
  const stages = Object.fromEntries(
    [...page.querySelectorAll("[data-stage]")].map((section) => [section.dataset.stage, section]));

  const sounds = {}; // what each stage plays
  let worker, ticket = 0, frequencies, truth, description;
  let active = null, pressed, latest; // the stage at work, its button, its latest result

  const say = (text) => { find(".voice-status").textContent = text; };
  const write = (stage, place, text) => { find(`.voice-${place}`, stages[stage]).textContent = text; };

  function ask(task, options = {}) {
    worker ??= globalThis.scalinvEngine.startWorker(answer);
    worker.ask({ task, ticket, ...options });
  }

  // -- the sound ------------------------------------------------------------------------------

  // Take the sound that getSound() promises, or say why there is none.
  async function bring(getSound, name) {
    const sources = ["record", "choose", "example"].map((each) => act(each));
    const focused = document.activeElement;
    sources.forEach((button) => { button.disabled = true; });
    try {
      const { x, notes } = await getSound();
      forget();
      description = [name, ...notes].join(" ");
      say(`${description} Its scalogram is being computed.`);
      ask("listen", { x });
    } catch (error) {
      if (!(error instanceof voice.Refusal)) throw error;
      say(error.message);
    } finally {
      find(".voice-level").hidden = true;
      sources.forEach((button) => { button.disabled = false; });
      if (sources.includes(focused)) focused.focus({ preventScroll: true });
    }
  }

  // A new sound: what the stages show is not of it.
  function forget() {
    ticket += 1;
    player.stop();
    setActive(null);
    for (const [name, section] of Object.entries(stages)) {
      section.hidden = true;
      delete sounds[name];
      for (const part of section.querySelectorAll("figure, .voice-numbers, .voice-verdict")) {
        part.replaceChildren();
      }
      const play = act("play", section);
      if (play) play.disabled = true;
    }
  }

  // -- the stages -----------------------------------------------------------------------------

  function answer(reply) {
    if (reply.failed) {
      finish();
      say(`The computation failed: ${reply.failed}`);
    } else if (reply.ticket === ticket) {
      if (reply.task === "listen") heard(reply);
      else if (reply.task === "scramble" || reply.task === active) result(reply);
    }
  }

  function heard(reply) {
    ({ x: truth, frequencies } = reply);
    player.level(truth);
    for (const section of Object.values(stages)) section.hidden = false;
    draw("sound", reply, null, "Scalogram of the sound over half a second, from 60 Hz to 4 kHz.",
      "Waveform of the sound");
    say(`${description} The four steps are below.`);
    ask("scramble", { seed: ticket });
  }

  // Show how far a stage is; a step inside a round of the recovery has no signal to show.
  function result(reply) {
    const stage = reply.task, name = words.NAMES[stage];
    if (stage === "recover") {
      find("progress").value = (reply.round + reply.step / 10) / (reply.rounds + 1);
    }
    if (!reply.x) return;
    latest = reply;
    draw(stage, reply, reply.turned, `Scalogram of ${name}. ${words.numbers(reply)}`,
      `Waveforms of the sound and of ${name}`);
    if (stage === "scramble") {
      write(stage, "verdict", words.VERDICTS.scramble(reply));
      return;
    }
    write(stage, "numbers", words.COUNTS[stage](reply));
    if (reply.last) finish();
  }

  function draw(stage, reply, turned, ofPicture, ofWaveform) {
    const section = stages[stage];
    sounds[stage] = reply.x;
    act("play", section).disabled = false;
    voice.scalogram(find(".voice-scalogram", section), reply.picture, frequencies, ofPicture);
    voice.waveform(find(".voice-waveform", section), truth, turned, ofWaveform);
  }

  // Enable what can be pressed while a stage is at work, or while none is.
  function setActive(stage) {
    active = stage;
    latest = null;
    for (const name of ["one", "fifty", "recover"]) act(name).disabled = stage !== null;
    for (const [name, section] of Object.entries(stages)) {
      const stop = act("stop", section);
      if (stop) stop.disabled = name !== stage;
      section.setAttribute("aria-busy", String(name === stage));
    }
    find(".voice-progress").hidden = stage !== "recover";
  }

  // Start a stage by its button. The focus goes on to Stop, as the button cannot be pressed now.
  function start(stage, button, options) {
    pressed = button;
    setActive(stage);
    write(stage, "verdict", "");
    act("stop", stages[stage]).focus({ preventScroll: true });
    ask(stage, options);
  }

  // End the stage at work with its verdict, and give the focus back.
  function finish() {
    if (active === null) return;
    const stage = active, reply = latest;
    const hadFocus = document.activeElement === act("stop", stages[stage]);
    setActive(null);
    if (reply) write(stage, "verdict", words.VERDICTS[stage](reply));
    if (hadFocus) pressed.focus({ preventScroll: true });
  }

  // -- the buttons ----------------------------------------------------------------------------

  const record = () => voice.fromMicrophone(
    (seconds) => {
      find(".voice-level").hidden = false;
      say(`Recording ${seconds} seconds: speak now.`);
    },
    (level) => { find("meter").value = level; });

  const acts = {
    record: () => bring(record, "Your recording."),
    choose: () => find("input[type=file]").click(),
    example: () => bring(async () => voice.example(), "The example: a voice made by this page."),
    one: (button) => start("griffinLim", button, { steps: 1 }),
    fifty: (button) => start("griffinLim", button, { steps: 50 }),
    recover: (button) => start("recover", button, { seed: ticket }),
    stop: () => {
      ask("stop");
      finish();
    },
  };

  page.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    acts[button?.dataset.act]?.(button);
  });
  find("input[type=file]").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) bring(() => voice.fromFile(file), `${file.name}.`);
    event.target.value = ""; // the same file may be chosen again
  });
  for (const [name, section] of Object.entries(stages)) {
    const button = act("play", section);
    if (button) player.serve(button, () => sounds[name]);
  }
})();
