// <scalinv-names>: ipywidgets 8.1 gives its controls neither names nor states that a screen reader
// could tell. This element stands inside the box of an app and adds them, to what is there and to
// what comes later. It shows nothing itself.
if (!customElements.get("scalinv-names")) {
  const words = (element) => (element ? element.textContent.trim() : "");

  // "title=null" would be shown as a tooltip that says null.
  const dropEmptyTooltips = (box) => {
    for (const element of box.querySelectorAll('[title="null"]')) element.removeAttribute("title");
  };

  // An icon is a letter of a font, which would be read aloud as part of a name.
  const hideIcons = (box) => {
    for (const icon of box.querySelectorAll("button i")) icon.setAttribute("aria-hidden", "true");
  };

  const nameButtons = (group) => {
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", words(group.querySelector(".widget-label")));
    for (const button of group.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.classList.contains("mod-active")));
    }
  };

  const nameSlider = (slider) => {
    const label = words(slider.querySelector(".widget-label")) || slider.title;
    const readout = slider.querySelector(".widget-readout");
    slider.querySelector(".noUi-handle").setAttribute("aria-label", label);
    if (readout) {
      readout.setAttribute("role", "textbox");
      readout.setAttribute("aria-label", label);
    }
  };

  const nameProgress = (progress) => {
    const bar = progress.querySelector(".progress-bar");
    progress.setAttribute("role", "progressbar");
    progress.setAttribute("aria-label", "progress");
    progress.setAttribute("aria-valuemin", 0);
    progress.setAttribute("aria-valuemax", 100);
    progress.setAttribute("aria-valuenow", Math.round(parseFloat(bar.style.width) || 0));
  };

  // The header of an accordion is a plain div: it becomes a button for keys as well.
  const nameFold = (header) => {
    const open = header.closest(".jupyter-widget-Collapse").matches(".jupyter-widget-Collapse-open");
    header.setAttribute("role", "button");
    header.setAttribute("aria-expanded", String(open));
    header.tabIndex = 0;
  };

  const pressFold = (event) => {
    const onHeader = event.target.matches(".jupyter-widget-Collapse-header");
    if (onHeader && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.target.click();
    }
  };

  const nameAll = (box) => {
    dropEmptyTooltips(box);
    hideIcons(box);
    box.querySelectorAll(".widget-toggle-buttons").forEach(nameButtons);
    box.querySelectorAll(".widget-slider").forEach(nameSlider);
    box.querySelectorAll(".widget-hprogress").forEach(nameProgress);
    box.querySelectorAll(".jupyter-widget-Collapse-header").forEach(nameFold);
    for (const status of box.querySelectorAll(".scalinv-status")) status.setAttribute("role", "status");
  };

  customElements.define("scalinv-names", class extends HTMLElement {
    connectedCallback() {
      const box = this.closest(".scalinv-app");
      if (!box) return;
      let asked = 0;
      const later = () => {
        cancelAnimationFrame(asked);
        asked = requestAnimationFrame(() => nameAll(box));
      };
      this.observer = new MutationObserver(later);
      this.observer.observe(box, {
        subtree: true, childList: true, attributes: true, attributeFilter: ["class", "style"],
      });
      box.addEventListener("keydown", pressFold);
      nameAll(box);
    }

    disconnectedCallback() {
      if (this.observer) this.observer.disconnect();
    }
  });
}
