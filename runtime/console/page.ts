/** The console page: plain HTML, no part of it from elsewhere, readable on a phone.
 * Values enter the document as text nodes only: a device may call itself what it likes. */
export const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>edgecore</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --dim: #777; }
  body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
  h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
  h2 { font-size: 1.05rem; margin: 1.5rem 0 .3rem; }
  table { border-collapse: collapse; width: 100%; }
  td, th { overflow-wrap: anywhere; border-bottom: 1px solid var(--line); padding: .35rem .5rem .35rem 0; text-align: left; vertical-align: top; }
  td.value { font-variant-numeric: tabular-nums; font-weight: 600; }
  .good { color: var(--good); } .bad { color: var(--bad); } .dim { color: var(--dim); font-weight: normal; }
  #stale { display: none; background: var(--bad); color: #fff; padding: .4rem .6rem; border-radius: .3rem; }
</style>
</head>
<body>
<p id="stale" role="status">No connection to edgecore: what stands here is old.</p>
<h1 id="title">edgecore</h1>
<div id="summary"></div>
<div id="devices"></div>
<div id="pods"></div>
<div id="rules"></div>
<noscript>This page needs JavaScript; /api/state and /metrics give the same as text.</noscript>
<script>
const make = (tag, text, cls) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; };
const row = (tr, ...cells) => { for (const [text, cls] of cells) tr.append(make('td', text, cls)); return tr; };
const ago = (now, at) => { if (!at) return ''; const s = Math.max(0, Math.round((now - at) / 1000)); return s < 90 ? s + ' s ago' : s < 5400 ? Math.round(s / 60) + ' min ago' : Math.round(s / 3600) + ' h ago'; };
function summary(s) {
  const t = make('table');
  const up = s.link.state === 'online';
  t.append(row(make('tr'), ['Cloud link'], [s.link.state + ', ' + ago(s.now, s.link.since) + (s.link.reason ? ': ' + s.link.reason : ''), up ? 'good' : 'bad']));
  t.append(row(make('tr'), ['Containers'], [s.runtime.message, s.runtime.ready ? 'good' : 'bad']));
  t.append(row(make('tr'), ['Disk'], s.store.state === 'ok' ? ['written', 'good'] : ['not written, since ' + ago(s.now, s.store.since) + ': ' + s.store.reason, 'bad']));
  t.append(row(make('tr'), ['MQTT'], [s.mqtt.clients + ' clients, ' + s.mqtt.received + ' messages in, ' + s.mqtt.sent + ' out, ' + s.mqtt.dropped + ' dropped']));
  t.append(row(make('tr'), ['Process'], [s.version + ', started ' + ago(s.now, s.startedAt) + ', ' + s.rssMb + ' MB']));
  return t;
}
function devices(s) {
  const all = [make('h2', 'Devices')];
  if (!s.devices.length) all.push(make('p', 'None yet: create a Device with spec.nodeName ' + s.node + ' in the cluster.', 'dim'));
  for (const d of s.devices) {
    const h = make('h2', d.id + ' '); h.append(make('span', d.state, d.state === 'online' || d.state === 'ok' ? 'good' : 'bad'));
    if (d.reason) h.append(make('span', ' ' + d.reason, 'dim'));
    const t = make('table');
    for (const p of d.properties) {
      const wanted = p.desired !== undefined && p.desired !== p.value ? 'wanted ' + p.desired : '';
      t.append(row(make('tr'), [p.name], [p.value + (p.unit ? ' ' + p.unit : ''), 'value'], [p.fault || wanted, p.fault ? 'bad' : 'dim'], [ago(s.now, p.at), 'dim']));
    }
    all.push(h, t);
  }
  return all;
}
function pods(s) {
  if (!s.pods.length) return [];
  const t = make('table');
  for (const p of s.pods) t.append(row(make('tr'), [p.name], [p.phase, p.phase === 'Running' || p.phase === 'Succeeded' ? 'good' : 'bad'], [p.ready + ' ready, ' + p.restarts + ' restarts'], [p.reason, 'dim']));
  return [make('h2', 'Pods'), t];
}
function rules(s) {
  if (!s.rules.length) return [];
  const t = make('table');
  for (const r of s.rules) t.append(row(make('tr'), [r.id], [r.origin, 'dim'], [r.state, r.state === 'refused' || r.state === 'stopped' ? 'bad' : r.state === 'active' ? 'good' : 'dim'], [r.firedAt ? r.fired + ' times, ' + ago(s.now, r.firedAt) : 'never acted', 'dim'], [r.reason || r.lastError || '', r.reason ? 'bad' : 'dim']));
  return [make('h2', 'Rules'), t];
}
const source = new EventSource('/api/events');
source.onmessage = (event) => {
  const s = JSON.parse(event.data);
  document.getElementById('title').textContent = s.node;
  document.title = s.node + ' · edgecore';
  document.getElementById('summary').replaceChildren(summary(s));
  document.getElementById('devices').replaceChildren(...devices(s));
  document.getElementById('pods').replaceChildren(...pods(s));
  document.getElementById('rules').replaceChildren(...rules(s));
  document.getElementById('stale').style.display = 'none';
};
source.onerror = () => { document.getElementById('stale').style.display = 'block'; };
</script>
</body>
</html>
`;
