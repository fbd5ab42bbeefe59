// The first screen: big buttons, a picture and its cursor, all driven by the <scalinv-sounds> below
// them. The buttons say in data-sound which sound is theirs and in data-caption what to read.
(() => {
  const PAUSE = 900; // milliseconds between two sounds in a row, to read the caption

  function begin(screen) {
    const sounds = screen.querySelector("scalinv-sounds"), all = screen.querySelector(".all");
    const buttons = [...screen.querySelectorAll("[data-sound]")];
    const pictures = [...screen.querySelectorAll(".stage img")];
    const figure = screen.querySelector(".stage"), cursor = screen.querySelector(".cursor");
    const caption = screen.querySelector("figcaption");
    const indexOf = button => Number(button.dataset.sound);
    let next = null; // the number of the button that comes next in a row, or null
    let timer = 0;

    function leaveRow() {
      clearTimeout(timer);
      next = null;
      all.setAttribute("aria-pressed", "false");
    }
    function playNext() {
      const button = buttons[next];
      next += 1;
      sounds.play(indexOf(button));
    }
    function press(button) {
      const again = sounds.playing && sounds.selected === indexOf(button);
      leaveRow();
      if (again) sounds.stop();
      else sounds.play(indexOf(button));
    }
    function pressAll() {
      const running = next !== null;
      leaveRow();
      if (sounds.playing) sounds.stop();
      if (running) return;
      next = 0;
      all.setAttribute("aria-pressed", "true");
      playNext();
    }

    function show() {
      const { playing, selected } = sounds;
      const shown = buttons.findIndex(button => indexOf(button) === selected);
      buttons.forEach((button, k) => button.setAttribute("aria-pressed", playing && k === shown));
      figure.classList.toggle("playing", playing);
      if (!playing || shown < 0) return;
      pictures.forEach((picture, k) => { picture.hidden = k !== shown; });
      caption.textContent = buttons[shown].dataset.caption;
      requestAnimationFrame(follow);
    }
    function follow() {
      if (!sounds.playing) return;
      cursor.style.left = `${(100 * sounds.position) / sounds.duration}%`;
      requestAnimationFrame(follow);
    }

    buttons.forEach(button => button.addEventListener("click", () => press(button)));
    all.addEventListener("click", pressAll);
    sounds.addEventListener("scalinv-sounds", () => {
      show();
      if (next === null || sounds.playing) return;
      if (sounds.ended && next < buttons.length) timer = setTimeout(playNext, PAUSE);
      else leaveRow(); // it was the last one, or somebody stopped it
    });
  }

  const start = () => document.querySelectorAll(".first-screen").forEach(begin);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
