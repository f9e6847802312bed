# What is done on the cluster for one job, each verb by one shell that is sent there whole.
# sh -c "$(cat cluster.sh)" hubtrain VERB ARGUMENTS...; exits with 44 where a job's folder is not there.
set -eu
LC_ALL=C
export LC_ALL
answer() { echo '@hubtrain-answer'; }

enter() { cd -- "$1" 2>/dev/null || exit 44; }

# patiently COMMAND...: again after a moment where the controller is away, as when it is restarted.
patiently() {
    for wait in 0.5 1 2 4 ''; do
        words=$(mktemp)
        code=0
        "$@" 2>"$words" || code=$?
        if [ $code = 0 ] || [ -z "$wait" ] || ! grep -q 'ontact slurm' "$words"; then
            cat "$words" >&2
            rm -f "$words"
            return $code
        fi
        rm -f "$words"
        sleep "$wait"
    done
}

# submit FOLDER NAME: its files come as a tar on standard input; says the job's number in Slurm.
# Whoever comes second waits until the first `sbatch` is over, and finds its job. Should the controller take one
# that was cut short still later, there are two: of these the one whose number is noted first runs (job.sh).
submit() {
    stay
    alone_in "$1"
    number=$(found "$2")
    if [ -z "$number" ]; then
        trap 'cd / && rm -rf -- "$1"' EXIT
        unpack
        rm -f array
        number=$(patiently clean sbatch --parsable --export=ALL job.sh 2>refusal) || refused $?
        trap - EXIT
        number=${number%%;*}
        rm -f refusal
    fi
    note "$number"
    answer && echo "$number" && pwd -P
}

# array FOLDER NAME AT_ONCE JOB...: submit for several jobs, whose files come as one tar: `shared` and a folder
# for each. One array, whose links in FOLDER lead to their folders, runs those that have not been submitted,
# so many at once. Says number and folder of each.
array() {
    umask 077
    stay
    alone_in "$1"
    jobs=$(cd ../.. && pwd -P) name=$2 at_once=$3
    shift 3
    sent="shared $*" wanted=''
    trap unmade EXIT
    unpack
    for job in "$@"; do
        number=$(number_of "$job")
        if [ -n "$number" ]; then
            (cd "$jobs/$job" && note "$number")
        else
            index=$(link_to "$job")
            wanted=$wanted,$index
            mkdir -p -- "$jobs/$job"
            cp -R shared/. "$job"/. "$jobs/$job"
            echo "$name $index" >"$jobs/$job/array"
            touch "$jobs/$job/whole"
        fi
        rm -rf -- "./$job"
    done
    rm -rf shared
    if [ -n "$wanted" ]; then
        number=$(patiently clean sbatch --parsable --export=ALL "--array=${wanted#,}%$at_once" array.sh 2>refusal) ||
            refused $?
        trap - EXIT
        for index in $(echo "$wanted" | tr , ' '); do
            (cd -P $index && note "${number%%;*}_$index")
        done
        rm -f refusal
    fi
    trap - EXIT
    answer
    for job in "$@"; do echo "$(cat "$jobs/$job/number") $jobs/$job"; done
}

# link_to JOB: the number of a link that leads to it, made unless it is there. One that leads, or has led, to
# another job is that of a task which Slurm may still have.
link_to() {
    free=0
    while [ -L $free ] && [ "$(readlink $free)" != "../../$1" ]; do free=$((free + 1)); done
    ln -sfn "../../$1" $free
    echo $free
}

# note NUMBER: in the job's own folder, once; the job does so itself when it begins.
note() {
    echo "$1" >"number.$1"
    ln "number.$1" number 2>/dev/null || mv -n "number.$1" number || true
    rm -f "number.$1"
}

# number_of JOB: as found, in the job's own folder.
number_of() {
    cd "$jobs/$1" 2>/dev/null || return 0
    found "hubtrain-$1"
}

# unmade: nothing is left of what was sent for an array that was not submitted, nor of the array if it has no
# other jobs.
unmade() {
    for one in $sent; do rm -rf -- "./$one"; done
    for index in $(echo "$wanted" | tr , ' '); do
        rm -rf -- "$(cd -P $index 2>/dev/null && pwd)"
        rm -f $index
    done
    tidy "$PWD"
}

# its_array: the folder of the array that the job in this folder belongs to; nothing for one by itself.
its_array() {
    if [ -s array ]; then read -r array _ <array && echo "$(cd .. && pwd -P)/arrays/${array#hubtrain-array-}"; fi
}

# tidy FOLDER: an array's folder goes with the last of its jobs.
tidy() {
    for link in "$1"/[0-9]*; do
        if [ -e "$link" ]; then return; fi
    done
    cd / && rm -rf -- "$1"
}

# stay: a connection that hangs up ends nothing half-way. Where sh is bash, a signal would have it clear up what a
# job may use by then.
stay() { trap '' HUP INT TERM; }

# alone_in FOLDER: made, and whoever comes second waits.
alone_in() {
    (umask 077 && mkdir -p -- "$1")
    enter "$1"
    if command -v flock >/dev/null; then
        exec 9>lock
        flock -w 50 9 || { echo 'timed out behind another launch of this job' >&2; exit 1; }
    fi
}

# unpack: the tar on standard input, whole or not at all.
unpack() {
    rm -f whole
    tar -x -f -
    [ -e whole ] || { echo 'the files of the job were cut short' >&2; exit 1; }
}

# refused CODE: says why. An answer that was lost may be that of a job: its folder stays.
refused() {
    words=$(cat refusal)
    if [ "$1" -gt 128 ]; then words="timed out: sbatch was killed. $words"; fi
    case $words in *'timed out'* | *'Zero bytes'*) trap - EXIT ;; esac
    echo "$words" >&2
    exit 1
}

# clean COMMAND...: without the variables of who submits, which Slurm would keep with the job.
clean() {
    set -- "PATH=$PATH" "HOME=$HOME" "USER=$(id -un)" "LOGNAME=$(id -un)" "$@"
    for name in $(env | sed -n 's/^\(S\(LURM_CONF\|BATCH_[A-Z_]*\)\)=.*/\1/p'); do
        eval "set -- \"\$name=\$$name\" \"\$@\""
    done
    env -i "$@"
}

# found NAME: the number of the job in this folder, from its folder or from Slurm; nothing for none.
found() {
    if [ -s number ]; then cat number && return; fi
    told=$(numbers "$1") || return
    echo "$told" | tail -n 1
}

# numbers NAME: of all that Slurm has of the job in this folder.
numbers() {
    name=$1 index=
    if [ -s array ]; then read -r name index <array; fi
    told=$(patiently squeue --noheader --array --states=all --user="$(id -u)" --name="$name" --format=%i) || return
    echo "$told" | sed -n "/${index:+_$index}\$/p"
}

# find FOLDER NAME
find_() {
    enter "$1"
    number=$(found "$2")
    if [ -n "$number" ]; then note "$number"; fi
    answer
    if [ -n "$number" ]; then echo "$number" && pwd -P; fi
}

# look FOLDER: the job's number, its state in Slurm, how its script ended and what Slurm said of it.
look() {
    enter "$1"
    [ -s number ] || exit 44
    number=$(cat number)
    if ! state=$(patiently squeue --noheader --states=all --jobs="$number" --format='%T|%r|%S' 2>&1); then
        case $state in
        *'nvalid job id'*) state='' ;;
        *) echo "$state" >&2 && exit 1 ;;
        esac
    fi
    if [ -z "$state" ] && command -v sacct >/dev/null; then
        state=$(sacct -n -X -P -j "$number" -o State 2>/dev/null | sed -n '1s/ .*//p') || state=''
    fi
    answer
    echo "number=$number"
    echo "state=$state"
    echo "ended=$(cat ended 2>/dev/null)"
    echo "said=$(tail -c 20000 log.txt 2>/dev/null | sed -n 's/.*\*\*\* [A-Z]* .* CANCELLED AT [^ ]*//p' | tail -n 1)"
}

# lines FOLDER BYTES: whether the job's script has ended, then of its log what follows so many bytes.
lines() {
    enter "$1"
    answer
    if [ -e ended ]; then echo over; else echo going; fi
    tail -c "+$(($2 + 1))" log.txt 2>/dev/null | head -c 4000000
}

# spec FOLDER
spec() {
    enter "$1"
    [ -s job.json ] || exit 44
    answer && cat job.json
}

# cancel FOLDER
cancel() {
    enter "$1"
    answer
    if [ -s number ]; then patiently scancel "$(cat number)"; fi
}

# drop FOLDER: at once, and with its folder; only one that hubtrain made. What says so goes last: a removal that is
# cut short can be ended.
drop() {
    enter "$1"
    [ -s job.json ] && [ -e whole ] || { echo "$1 is no job's folder" >&2 && exit 1; }
    number=$(found "hubtrain-${1##*/}")
    for other in $(numbers "hubtrain-${1##*/}"); do
        [ "$other" = "$number" ] || patiently scancel "$other" 2>/dev/null || true
    done
    if [ -n "$number" ]; then
        left=$(left_of "$number")
        # A signal to a task that waits would cancel all of its array that waits.
        case $left in '' | PENDING) ;; *) patiently scancel --signal=KILL --full "$number" 2>/dev/null || true ;; esac
        patiently scancel "$number" 2>/dev/null || true
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            left=$(left_of "$number")
            if [ -z "$left" ]; then break; fi
            sleep 0.5
        done
        case $left in '' | COMPLETING) ;; *) echo "Slurm has not ended the job yet: $left" >&2 && exit 1 ;; esac
    fi
    array=$(its_array)
    find . -mindepth 1 -maxdepth 1 ! -name job.json ! -name whole -exec rm -rf -- {} +
    cd / && rm -rf -- "$1"
    if [ -n "$array" ]; then tidy "$array"; fi
    answer
}

# clear FOLDER NAME: what a launch that was killed before `sbatch` has left, the secrets first.
clear() {
    enter "$1"
    stay
    alone_in "$1"
    number=$(found "$2")
    if [ -z "$number" ]; then
        rm -f handed.json
        array=$(its_array)
        cd / && rm -rf -- "$1"
        if [ -n "$array" ]; then tidy "$array"; fi
    fi
    answer
}

# left_of NUMBER: the state of a job that Slurm has not ended; nothing for one that has ended, or is forgotten.
left_of() {
    if told=$(patiently squeue --noheader --jobs="$1" --format=%T 2>&1); then
        echo "$told" | head -n 1
        return
    fi
    case $told in *'nvalid job id'*) ;; *) echo "$told" >&2 && exit 1 ;; esac
}

# largest: how many tasks an array may have.
largest() {
    told=$(scontrol show config)
    answer && echo "$told" | sed -n 's/^MaxArraySize *= *//p'
}

# ours: name, number, state and folder of each of our jobs that Slurm has, tasks of arrays by their own names.
ours() {
    told=$(patiently squeue --noheader --array --states=all --user="$(id -u)" --format='%j|%i|%T|%Z')
    answer
    echo "$told" | while IFS='|' read -r name number state folder; do
        case $name in
        hubtrain-array-*)
            folder=$(cd -P -- "$folder/${number##*_}" 2>/dev/null && pwd) || continue
            name=hubtrain-${folder##*/}
            ;;
        hubtrain-*) ;;
        *) continue ;;
        esac
        echo "$name|$number|$state|$folder"
    done
}

# machines: its partitions, for `flavors`.
machines() {
    told=$(sinfo --noheader --format='%P|%G|%c|%m|%l|%D|%a')
    answer && echo "$told"
}

verb=$1 && shift
case $verb in
find) find_ "$@" ;;
*) "$verb" "$@" ;;
esac
