#!/usr/bin/env bash
# Markdown for a job's summary: what changed since commit BASE, and how the experiments compare.
#     scripts/job_summary.sh BASE [PAGE_URL] >> "$GITHUB_STEP_SUMMARY"
# GitHub strips embedded images (data: addresses) from a summary, and a picture that lies in an
# artifact needs a signed-in reader: so the page is one link, and the chart is Mermaid text.
set -uo pipefail
base=${1:-}
page=${2:-}
python=${PYTHON:-python}

known() { [ -n "$1" ] && git rev-parse --quiet --verify "$1^{commit}" >/dev/null; }

# A first push has no commit before it, and a forced one may have lost it.
known "$base" || base=$(git merge-base HEAD "origin/${DEFAULT_BRANCH:-HEAD}" 2>/dev/null)
if ! known "$base" || [ "$(git rev-parse "$base")" = "$(git rev-parse HEAD)" ]; then base='HEAD^'; fi

section() { # title, fallback, command…
    local title=$1 fallback=$2 output
    shift 2
    output=$("$@" 2>/dev/null) || output=''
    # a table without rows is its header and its rule
    if [ "$(grep -c '^|' <<<"$output")" -lt 3 ]; then output=$fallback; fi
    printf '## %s\n\n%s\n\n' "$title" "$output"
}

if known "$base"; then
    printf 'Compared with %s.\n\n' "$(git rev-parse --short "$base")"
    section Parameters 'No parameter changed.' "$python" -m dvc params diff --md "$base"
    section Metrics 'No metric changed, or there is none to compare.' \
        "$python" -m dvc metrics diff --md "$base"
fi
section Experiments 'The run made no report; its log says why.' \
    cat reports/results.md
# 2: there is no model to judge
gate=$("$python" -m depthmask.cli gate 2>&1)
if [ $? -lt 2 ]; then printf '## Gate\n\n```text\n%s\n```\n\n' "$gate"; fi
if [ -n "$page" ]; then
    printf '## Report\n\n[The whole story: pictures, curves, intervals](%s)\n' "$page"
fi
