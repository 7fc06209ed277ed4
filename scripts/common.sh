# shellcheck shell=bash
# What the profiling scripts share. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
# Tools that are built from crates.io go below target/, not into the home of whoever runs this.
export PATH="$target/tools/bin:$PATH"

missing=0
# need TOOL HOW: notes that a tool is missing, and how to get it.
need() {
    command -v "$1" >/dev/null && return
    echo "missing: $1; install it with: $2" >&2
    missing=1
}
need_perf() { need perf 'apt-get install linux-perf'; }
need_inferno() {
    local tool
    for tool in "$@"; do
        need "inferno-$tool" "cargo install inferno --version 0.12.8 --locked --root $target/tools"
    done
}

# checked MESSAGE: ends here if a tool is missing, or if no more than this was asked for.
checked() {
    if ((${check:-0})); then
        if ((missing)); then echo 'skipped: tools are missing'; else echo "ready: $1"; fi
        exit 0
    fi
    if ((missing)); then exit 1; fi
}

# The package of a program of this project; nothing for another one.
package_of() {
    case $1 in
    tidegate) echo tidegate-hub ;;
    loadgen) echo tidegate-loadgen ;;
    bench-harness) echo tidegate-bench-harness ;;
    esac
}

# build_profiling PROGRAM [CARGO-FLAG…]: the program by the profile `profiling`, with frame pointers, and its folder first in PATH.
build_profiling() {
    local program=$1 package
    shift
    package=$(package_of "$program")
    if [[ -n $package ]]; then
        # In the project's folder, since cargo looks for .cargo/config.toml from where it is called. By --config and not by
        # RUSTFLAGS: the variable would replace the flags of that file, this adds to them.
        (
            cd "$root" || exit
            unset RUSTFLAGS
            CARGO_TARGET_DIR=$target cargo build --locked --profile profiling -p "$package" --bin "$program" "$@" \
                --config 'target."cfg(target_arch = \"x86_64\")".rustflags=["-Cforce-frame-pointers=yes"]'
        )
    fi
    export PATH="$target/profiling:$PATH"
}

# What drives perf's samples here: the counter of cycles where processors show one, else the system's clock.
sample_event() {
    if perf stat --event cycles:u -- true 2>&1 | grep -q 'not supported'; then echo cpu-clock; else echo cycles; fi
}

# One line of text as the inside of a JSON string.
json_text() { sed 's/\\/\\\\/g; s/"/\\"/g' | tr -d '\n'; }

# environment FILE KEY VALUE…: writes where and how a profile was taken. A VALUE that begins with = is a number.
environment() {
    local file=$1
    shift
    {
        printf '{"git": "%s",\n' "$(git -C "$root" describe --always --dirty --abbrev=12 2>/dev/null | json_text)"
        printf ' "cpu": "%s",\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1 | json_text)"
        printf ' "cores": %d, "kernel": "%s",\n' "$(nproc)" "$(uname -r | json_text)"
        while (($# > 2)); do
            pair "$1" "$2" ','
            shift 2
        done
        pair "$1" "$2" '}'
    } >"$file"
}
pair() {
    case $2 in
    =*) printf ' "%s": %s%s\n' "$1" "${2#=}" "$3" ;;
    *) printf ' "%s": "%s"%s\n' "$1" "$(printf '%s' "$2" | json_text)" "$3" ;;
    esac
}
