(function () {
  'use strict';
  var root = document.documentElement;
  var boxes = Array.prototype.slice.call(document.querySelectorAll('.chart'));
  var details = Array.prototype.slice.call(document.querySelectorAll('details'));
  if (!window.echarts) {
    details.forEach(function (d) { d.open = true; });
    return;
  }
  var paperWidth = 660, paperBeside = 310; // CSS pixels between the margins of A4, and of a chart with its table beside it

  // Colours in an option are names of the style sheet's variables.
  function colours(node, css, named) {
    Object.keys(node).forEach(function (k) {
      var v = node[k], is = named || k === 'color';
      if (typeof v === 'string') { if (is && v.slice(0, 2) === '--') node[k] = css.getPropertyValue(v).trim(); }
      else if (v && typeof v === 'object' && k !== 'data') colours(v, css, is);
    });
  }
  function list(v) { return v === undefined ? [] : Array.isArray(v) ? v : [v]; }
  function short(v) {
    var a = Math.abs(v);
    var text = a !== 0 && (a < 1e-3 || a >= 1e6) ? v.toExponential(1) : String(+v.toPrecision(6));
    return text.replace(/-/g, '\u2212').replace('e+', 'e');
  }
  // Lines that a legend takes beyond its first. It is never paged: paper does not turn pages.
  var pen = document.createElement('canvas').getContext('2d');
  function legendLines(option, css, width) {
    var l = list(option.legend)[0], lines = 0, at = 0;
    if (!l || l.show === false) return 0;
    pen.font = '12px ' + getComputedStyle(document.body).fontFamily;
    list(option.series).forEach(function (s) {
      var w = Math.min(pen.measureText(s.name || '').width, width - 60) + 32; // its mark and the gap after it
      if (at && at + w > width) { lines++; at = 0; }
      at += w;
    });
    return lines;
  }
  function dress(option, css, width, more) {
    var ink = css.getPropertyValue('--ink').trim(), soft = css.getPropertyValue('--soft').trim(), line = css.getPropertyValue('--line').trim();
    option.textStyle = { fontFamily: getComputedStyle(document.body).fontFamily, color: ink };
    option.backgroundColor = 'transparent';
    list(option.legend).forEach(function (l) {
      l.textStyle = { color: ink, width: width - 60, overflow: 'truncate' };
      l.inactiveColor = line;
    });
    if (more) list(option.grid).forEach(function (g) { g.top = String(+g.top + more); });
    list(option.tooltip).forEach(function (t) {
      t.renderMode = 'richText'; // texts stay texts
      t.confine = true;
      t.valueFormatter = function (v) { return typeof v === 'number' ? String(+v.toPrecision(5)) : '–'; };
      t.backgroundColor = css.getPropertyValue('--raised').trim();
      t.borderColor = line;
      t.textStyle = { color: ink };
    });
    list(option.xAxis).concat(list(option.yAxis)).forEach(function (a) {
      a.nameTextStyle = { color: soft };
      a.axisLabel = a.axisLabel || {};
      a.axisLabel.color = soft;
      a.axisLabel.hideOverlap = true;
      if (a.type === 'value') a.axisLabel.formatter = short;
      else {
        var n = (a.data || []).length;
        a.axisLabel.overflow = 'truncate';
        a.axisLabel.width = Math.max(60, width / 3);
        if (!a.inverse && n && n <= 12 && a.data.some(isNaN)) { // names, each of which is shown
          a.axisLabel.interval = 0;
          a.axisLabel.hideOverlap = false;
          a.axisLabel.width = (width - 70) / n - 4;
          if (width < 420) a.axisLabel.fontSize = 10;
        }
      }
      a.axisLine = { lineStyle: { color: line } };
      a.splitLine = a.splitLine || {};
      a.splitLine.lineStyle = { color: line };
    });
    list(option.series).forEach(function (s) {
      if (s.type === 'bar') s.data.forEach(function (d) {
        if (!d.label) return;
        d.label.color = ink;
        d.label.fontSize = width < 420 ? 9 : 11;
        d.label.show = (width - 70) / (s.data.length * list(option.series).length) > d.label.fontSize * 3.5; // the table has them
      });
    });
    colours(option, css);
    return option;
  }
  function draw(paper) {
    var css = getComputedStyle(root);
    boxes.forEach(function (box) {
      var old = window.echarts.getInstanceByDom(box);
      if (old) old.dispose();
      var w = !paper ? box.clientWidth : box.closest('.beside') ? paperBeside : paperWidth, option = JSON.parse(document.getElementById(box.id + '-option').textContent);
      var more = 22 * legendLines(option, css, w), h = +box.dataset.height + more;
      box.style.height = h + 'px';
      if (w < 40) return;
      var c = window.echarts.init(box, null, { renderer: 'svg', width: w, height: h, locale: root.lang === 'ja' ? 'JA' : 'EN' });
      c.setOption(dress(option, css, w, more));
    });
  }
  function later(f) {
    var t;
    return function () { clearTimeout(t); t = setTimeout(f, 120); };
  }
  draw();
  var main = document.querySelector('main'), seen = main.clientWidth;
  new ResizeObserver(later(function () {
    if (main.clientWidth !== seen && !root.classList.contains('paper')) { seen = main.clientWidth; draw(); }
  })).observe(main);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', function () { draw(); });
  var shut = [];
  window.addEventListener('beforeprint', function () {
    shut = details.filter(function (d) { return !d.open; });
    shut.forEach(function (d) { d.open = true; });
    root.classList.add('paper');
    draw(true);
  });
  window.addEventListener('afterprint', function () {
    shut.forEach(function (d) { d.open = false; });
    root.classList.remove('paper');
    draw();
  });
})();
