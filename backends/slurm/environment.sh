# environment.sh FOLDER PYTHON: makes the environment of a job's packages, once for all jobs that need
# the same, and prints its interpreter. What pip says goes to the log.
set -eu
folder=$1 base=$2
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
if command -v flock >/dev/null; then flock 9; fi
if [ ! -e "$folder/ready" ]; then
    echo "Making an environment for these packages, once: $folder" >&2
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "$base is $("$base" --version 2>&1): Python 3.11 or newer is needed (--slurm-python, --slurm-setup)" >&2
        exit 1
    }
    "$base" -m venv --clear "$folder"
    pip() { "$folder/bin/python" -m pip --disable-pip-version-check --quiet "$@" >&2; }
    pip install --no-deps --requirement torch.txt
    pip install --requirement requirements.txt --constraint constraints.txt
    touch "$folder/ready"
fi
echo "$(cd "$folder" && pwd)/bin/python"
