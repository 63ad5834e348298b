"use strict";
/* What the page has cost so far: bytes of the file that tiles were decoded from, and bytes that came over the line. */
(() => {
  const { $, root, encode, bytes, json, stage, library } = window.wavelic;
  const read = { id: null, seen: new Set(), waiting: [], ranges: [], timer: 0 };

  function join(ranges) {
    const joined = [];
    for (const [start, stop] of ranges.sort((a, b) => a[0] - b[0])) {
      const last = joined[joined.length - 1];
      if (last && start <= last[1]) last[1] = Math.max(last[1], stop);
      else joined.push([start, stop]);
    }
    return joined;
  }

  async function countRead() {
    read.timer = 0;
    const { id } = read;
    const tiles = read.waiting.splice(0, 64);
    if (!tiles.length) return;
    try {
      const answer = await json(`api/ranges/${encode(id)}/${tiles.join(",")}`);
      if (id !== read.id) return;
      read.ranges = join([...read.ranges, ...answer.ranges]);
      const sum = read.ranges.reduce((total, [start, stop]) => total + stop - start, 0);
      $("read").textContent = `${bytes(sum)} of ${bytes(answer.bytes)}, ${Math.round((100 * sum) / answer.bytes)} %`;
      $("read").dataset.bytes = String(sum);
    } catch { // a busy server: ask again with the next tile
      if (id === read.id) read.waiting.push(...tiles);
      return;
    }
    if (read.waiting.length && !read.timer) read.timer = setTimeout(countRead, 100);
  }

  stage.viewer.addHandler("tile-loaded", ({ tile, tiledImage }) => {
    const { source } = tiledImage;
    const id = library.current();
    if (!source.id || !source.id.endsWith(`/${encode(id)}`)) return; // a first view, or of the image before
    if (id !== read.id) {
      Object.assign(read, { id, seen: new Set(), waiting: [], ranges: [] });
      $("read").textContent = "";
    }
    const options = source.id.slice(`${root}/iiif/3`.length).split("/")[0];
    const layers = /layers=(\d+)/.exec(options);
    const decode = /decode=([se])/.exec(options);
    const name = `${decode ? decode[1] : ""}${layers ? layers[1] : 0}.${source.maxLevel - tile.level}.${tile.x}.${tile.y}`;
    if (read.seen.has(name)) return;
    read.seen.add(name);
    read.waiting.push(name);
    if (!read.timer) read.timer = setTimeout(countRead, 100);
  });

  let received = 0;
  let requests = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (!entry.name.startsWith(`${root}/iiif/3`)) continue;
      received += entry.transferSize;
      requests += entry.transferSize > 0 ? 1 : 0;
    }
    performance.clearResourceTimings();
    if (requests) $("received").textContent = `${bytes(received)} in ${requests} answers`;
  }).observe({ type: "resource", buffered: true });
})();
