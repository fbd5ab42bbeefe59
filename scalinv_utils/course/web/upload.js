// <scalinv-upload>: looks at a file before the button beside it sends it to the kernel. A server
// closes the connection, without a word, on a message that is larger than it takes. So a file that
// is too large is not sent and gets a sentence, and any other file is said to be on its way.
if (!customElements.get("scalinv-upload")) {
  const LONG = 60; // seconds without an answer, after which somebody should be told

  const megabytes = (bytes) => (bytes < 1e5 ? "less than 0.1 MB" : `${(bytes / 1e6).toFixed(1)} MB`);

  customElements.define("scalinv-upload", class extends HTMLElement {
    connectedCallback() {
      const box = this.closest(".scalinv-upload");
      if (!box || this.box === box) return;
      this.box = box;
      this.limit = JSON.parse(this.querySelector("script").textContent).largest;
      this.words = document.createElement("p");
      this.words.className = "scalinv-upload-words";
      this.words.setAttribute("role", "status");
      this.append(this.words);
      this.seen = new WeakSet();
      box.addEventListener("click", (event) => this.catchInput(event), true);
      // The button may come later than this element.
      const heed = () => this.heed(box.querySelector(".widget-upload"));
      new MutationObserver(heed).observe(box, { childList: true, subtree: true, characterData: true });
      heed();
    }

    // ipywidgets opens the dialog of a file input that is not on the page: the only moment to get
    // hold of it is the one call of its click().
    catchInput(event) {
      if (!event.target.closest(".widget-upload")) return;
      const prototype = HTMLInputElement.prototype;
      const { click } = prototype;
      const own = this;
      prototype.click = function () {
        prototype.click = click;
        own.watch(this);
        click.call(this);
      };
      // If nothing was opened (a button that is off), nothing may be left behind.
      setTimeout(() => { if (prototype.click !== click) prototype.click = click; });
    }

    watch(input) {
      if (this.seen.has(input)) return;
      this.seen.add(input);
      input.addEventListener("change", (event) => this.look(event, input.files[0]), true);
    }

    look(event, file) {
      if (!file) return;
      if (file.size > this.limit) {
        event.stopImmediatePropagation(); // the widget never hears of it
        this.say(`${file.name} has ${megabytes(file.size)}, and at most ${megabytes(this.limit)} `
          + "can be sent. It was not sent, and nothing below has changed. Cut out the part that "
          + "you want, or export it as FLAC, OGG or MP3.", true);
        return;
      }
      this.say(`receiving ${file.name} (${megabytes(file.size)}) ...`);
      this.wait(file);
    }

    // The kernel empties the button when it has read the file: its count goes back to 0. A count of
    // 0 says nothing to anybody else, and is taken away.
    heed(button) {
      const label = button && button.lastChild;
      if (!label || !label.nodeValue || !label.nodeValue.includes("(0)")) return;
      label.nodeValue = label.nodeValue.replace(" (0)", "");
      if (this.waiting) this.say("");
    }

    wait(file) {
      this.waiting = setTimeout(() => {
        this.say(`Nothing has been heard of ${file.name} for a minute. If the connection was lost, `
          + "reload the page.", true);
      }, 1000 * LONG);
    }

    say(text, alert = false) {
      clearTimeout(this.waiting);
      this.waiting = 0;
      this.words.setAttribute("role", alert ? "alert" : "status");
      this.words.textContent = text;
    }
  });
}
