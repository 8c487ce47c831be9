import { chmodSync, writeFileSync } from 'node:fs';

export type LauncherOptions = {
  readonly script: string;
  readonly env: string;
  readonly flags: string;
  /** Whether another version may have taken this one's place. */
  readonly slots: boolean;
};

/** Writes the program that starts a bundle. A Node.js that lies beside the bundle is used before the machine's. */
export function writeLauncher(path: string, { script, env, flags, slots }: LauncherOptions): void {
  writeFileSync(
    path,
    `#!/bin/sh
# Starts ${script} with the flags that it is made for.
here=$(dirname "$(readlink -f "$0")")
${slots ? slotPart : ''}node="$here/node"
${slots ? '[ -x "$node" ] || node="$EDGECORE_BASE/node"\n' : ''}[ -x "$node" ] || node=node
${env ? `export ${env}\n` : ''}exec "$node" ${flags && `${flags} `}"$here/${script}" "$@"
`,
  );
  chmodSync(path, 0o755);
}

/** Chooses the version to start: see runtime/docs/upgrade.md and FileSlots. The links are renamed nowhere else than here
 * and there. A trial is started once: its mark is on the disk before the new version runs, and whatever comes of it, the
 * next start takes the version that was known to be good. Whoever hangs is ended from outside of its process. */
const slotPart = `if [ -z "$EDGECORE_BASE" ]; then
  # This is the package's own version, which is always there; one that was upgraded to may take its place.
  slots=\${EDGECORE_SLOTS:-/var/lib/kubeedge/slots}
  export EDGECORE_BASE="$here" EDGECORE_SLOTS="$slots"
  if [ -r "$slots/base" ] && [ "$(cat "$slots/base")" = "$(cat "$here/version")" ]; then
    runs=yes
    case "\${1:---}" in -*) ;; *) runs= ;; esac
    for word; do
      case "$word" in --version | --help | --minconfig | --defaultconfig) runs= ;; esac
    done
    if [ "$runs" ] && [ -L "$slots/trial" ] && mv -T "$slots/trial" "$slots/trying"; then
      sync "$slots" 2>/dev/null || sync
      started=$(cut -d' ' -f22 /proc/$$/stat)
      (
        (
          sleep "$(cat "$slots/patience")"
          [ -L "$slots/trying" ] || exit
          [ "$(cut -d' ' -f22 /proc/$$/stat)" = "$started" ] || exit
          : >"$slots/hung"
          kill -9 $$
        ) </dev/null >/dev/null 2>&1 &
      )
      program=$(readlink -f "$slots/trying")/edgecore
      [ -x "$program" ] && exec "$program" "$@"
    fi
    program=$(readlink -f "$slots/current")/edgecore
    [ -L "$slots/current" ] && [ -x "$program" ] && exec "$program" "$@"
  fi
fi
`;
