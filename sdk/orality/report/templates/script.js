"use strict";
(() => {
  document.documentElement.classList.add("js");

  // One recording plays at a time; its outline fills as it goes.
  let playing = null;
  const label = (box, from, to) => {
    const button = box.querySelector("button");
    button.setAttribute("aria-label", button.getAttribute("aria-label").replace(from, to));
  };
  const stop = () => {
    if (!playing) return;
    playing.audio.pause();
    playing.box.classList.remove("playing");
    label(playing.box, "Stop", "Play");
    playing.fill.style.clipPath = "inset(0 100% 0 0)";
    playing = null;
  };
  const follow = () => {
    if (!playing) return;
    const { audio, fill } = playing;
    const share = audio.duration > 0 ? audio.currentTime / audio.duration : 0;
    fill.style.clipPath = `inset(0 ${100 - 100 * share}% 0 0)`;
    requestAnimationFrame(follow);
  };
  const start = (box) => {
    const wave = box.querySelector(".wave");
    const fill = wave.children[1] || wave.appendChild(wave.children[0].cloneNode());
    const audio = box.querySelector("audio");
    audio.currentTime = 0;
    playing = { box, audio, fill };
    box.classList.add("playing");
    label(box, "Play", "Stop");
    audio.onended = () => { if (playing && playing.audio === audio) stop(); };
    audio.play().catch(() => {
      if (playing && playing.audio === audio) {
        stop();
        box.querySelector(".time").textContent = "cannot be played here";
      }
    });
    requestAnimationFrame(follow);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".player button");
    if (!button) return;
    const box = button.closest(".player");
    const same = playing && playing.box === box;
    stop();
    if (!same) start(box);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });

  // Words as they are compared: what a transcriber writes large or marks is no difference.
  const plain = (text) => text.toLowerCase().replace(/[\p{P}\p{S}]/gu, "").replace(/\s+/g, " ").trim();
  const number = (text) => (text === undefined ? NaN : Number(text));
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  const filter = (form) => {
    const section = form.closest("section");
    const list = section.querySelector(".list");
    const field = (name) => form.elements.namedItem(name);
    const value = (name) => (field(name) && !field(name).disabled ? field(name).value : "");
    const ticked = (name) => Boolean(field(name) && !field(name).disabled && field(name).checked);
    const boxes = [...form.querySelectorAll("input[name=group]")];
    const { baseline, last } = form.dataset;
    const entries = [...list.children].map((node, index) => ({
      node, index, split: node.dataset.split,
      heard: node.querySelector("header").textContent.toLowerCase(),
      groups: [...node.querySelectorAll(".group")].map((group) => ({
        node: group,
        takes: [...group.querySelectorAll(".take")].map((take) => {
          const said = take.querySelector(".said");
          return {
            node: take, group: take.dataset.group, mark: take.dataset.mark,
            score: number(take.dataset.score), bleu: number(take.dataset.bleu),
            text: said.textContent.toLowerCase(),
            words: said.classList.contains("none") ? "" : plain(said.textContent),
          };
        }),
      })),
    }));
    const within = (amount, low, high) =>
      (low === "" && high === "")
      || (amount >= (low === "" ? -Infinity : Number(low)) && amount <= (high === "" ? Infinity : Number(high)));
    const mean = (entry, group) => {
      const scores = entry.groups.flatMap((one) => one.takes)
        .filter((take) => take.group === group && !Number.isNaN(take.score)).map((take) => take.score);
      return scores.length ? scores.reduce((sum, score) => sum + score, 0) / scores.length : NaN;
    };
    for (const entry of entries) entry.gain = mean(entry, last) - mean(entry, baseline);

    const update = () => {
      const wanted = new Set(boxes.filter((box) => box.checked || box.disabled).map((box) => box.value));
      const any = boxes.length === 0;
      const mark = value("mark"), split = value("split"), differ = ticked("differ");
      const words = value("words").trim().toLowerCase();
      let prompts = 0, shown = 0;
      for (const entry of entries) {
        const scores = [];
        const heard = entry.heard.includes(words);
        entry.shown = 0;
        for (const group of entry.groups) {
          const asked = group.takes.filter((take) => any || wanted.has(take.group));
          const same = differ && new Set(asked.map((take) => take.words)).size < 2;
          let count = 0;
          for (const take of group.takes) {
            const fits = !same && (any || wanted.has(take.group))
              && (!split || split === entry.split)
              && (!mark || take.mark === mark || (mark === "pair" && take.mark !== "none"))
              && within(take.score, value("low"), value("high"))
              && within(take.bleu, value("bleu-low"), value("bleu-high"))
              && (heard || take.text.includes(words));
            take.node.hidden = !fits;
            if (!fits) continue;
            count += 1;
            if (!Number.isNaN(take.score)) scores.push(take.score);
          }
          group.node.hidden = count === 0;
          entry.shown += count;
        }
        entry.node.hidden = entry.shown === 0;
        entry.best = scores.length ? Math.max(...scores) : -Infinity;
        entry.worst = scores.length ? Math.min(...scores) : Infinity;
        prompts += entry.shown > 0;
        shown += entry.shown;
      }
      if (playing && playing.box.closest("[hidden]")) stop();
      const finite = (amount) => (Number.isNaN(amount) ? Infinity : amount);
      const keys = {
        id: (entry) => entry.index,
        best: (entry) => -entry.best,
        worst: (entry) => entry.worst,
        wide: (entry) => (entry.best >= entry.worst ? entry.worst - entry.best : Infinity),
        gain: (entry) => finite(-entry.gain),
        loss: (entry) => finite(entry.gain),
      };
      const key = keys[value("sort") || "id"];
      const ordered = [...entries].sort((a, b) => {
        const x = key(a), y = key(b);
        return x < y ? -1 : x > y ? 1 : a.index - b.index;
      });
      if (ordered.some((entry, i) => list.children[i] !== entry.node)) {
        list.replaceChildren(...ordered.map((entry) => entry.node));
      }
      form.querySelector(".count").textContent = shown
        ? `${plural(shown, "continuation")} of ${plural(prompts, "prompt")}`
        : "Nothing fits; reset the filters to see everything.";
    };

    const blind = field("blind");
    const lists = [...list.querySelectorAll(".takes")].map((one) => [one, [...one.children]]);
    const shuffle = () => {
      stop();
      section.classList.toggle("blind", blind.checked);
      for (const [one, own] of lists) {
        const order = [...own];
        if (blind.checked) {
          for (let i = order.length - 1; i > 0; i--) {
            const j = Math.floor(Math.random() * (i + 1));
            [order[i], order[j]] = [order[j], order[i]];
          }
        }
        one.replaceChildren(...order);
      }
      // What would tell who speaks, or who is better, rests while one listens blindly.
      for (const name of ["low", "high", "bleu-low", "bleu-high", "sort"]) field(name).disabled = blind.checked;
      for (const box of boxes) box.disabled = blind.checked;
    };
    if (blind) blind.addEventListener("change", () => { shuffle(); update(); });
    if (blind && blind.checked) shuffle();
    form.addEventListener("input", update);
    form.addEventListener("reset", () => setTimeout(() => { if (blind) shuffle(); update(); }));
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  };
  document.querySelectorAll("form.filters").forEach(filter);
})();
