# bash completion for clicktally-inspect: source it, or install it as
# /usr/share/bash-completion/completions/clicktally-inspect.
# shellcheck shell=bash disable=SC2207  # words without blanks

_clicktally_inspect() {
  local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD - 1]}" words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='show get top list export offsets batches snapshots diff verify dead-letters backup restore
      import rollback help --help --version'
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case "$before" in
    --format) words='text json csv' ;;
    --by) words='clicks delta last-batch' ;;
    --cause) words='tombstone empty not_json not_object missing_action' ;;
    help) words='show get top list export offsets batches snapshots diff verify dead-letters backup
      restore import rollback' ;;
  esac
  if [ -z "$words" ] && [ "${current#-}" != "$current" ]; then
    case "${COMP_WORDS[1]}" in
      show) words='--exact --spread --seed --fresh --format' ;;
      get) words='--fresh --format' ;;
      top) words='--by --since --fresh --format' ;;
      list) words='--from --to --min-clicks --limit --fresh --format' ;;
      export) words='--fresh --format' ;;
      offsets) words='--dry-run --fresh --format' ;;  # and "offsets set"
      batches) words='--limit --fresh --format' ;;
      snapshots) words='--dry-run --fresh --format' ;;  # and "snapshots pin", "snapshots unpin"
      diff) words='--rows --fresh --format' ;;
      verify) words='--full --format' ;;
      rollback) words='--dry-run --format' ;;
      backup) words='--dry-run' ;;
      restore) words='--dry-run' ;;
      dead-letters) words='--cause --raw --fresh --format' ;;
      import) words='--from --offsets --topic --cluster-id --dry-run' ;;
    esac
    words="$words --help"
  fi
  if [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    compopt -o default 2>/dev/null
    case "$COMP_CWORD-${COMP_WORDS[1]}" in
      2-offsets) words='set' ;;
      2-snapshots) words='pin unpin' ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
  fi
}
complete -F _clicktally_inspect clicktally-inspect
