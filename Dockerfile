# The workflow and all it needs, with the versions of envs/constraints.txt.
#
#   docker build --tag pcft .
#   docker run --rm --volume "$PWD/results:/pcft/results" pcft --cores all
#
# The folder for the results must be there, and writable for user 1000. A configuration of one's own is one more volume:
# --volume "$PWD/mine.yaml:/pcft/mine.yaml", and after the image's name --configfile mine.yaml; so are the texts and models that it
# names: --volume "$PWD/letters:/pcft/letters:ro". Other commands: docker run --entrypoint pcft ... pcft status. With an NVIDIA driver and its
# container toolkit on the host, `docker run --gpus all` trains on the GPU.
#
# On Linux, the package index's torch brings CUDA with it, gigabytes of it. For a build without, name it and where it is found:
# --build-arg TORCH=torch==2.13.0+cpu --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim-bookworm

ARG TORCH=torch==2.13.0
ARG PIP_EXTRA_INDEX_URL
ENV PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 1000 pcft && install --directory --owner=pcft /pcft /pcft/results
WORKDIR /pcft

# Torch comes first and by itself, as with `make`, so that edits of the code do not install it again.
COPY envs envs
RUN python -m pip install --no-cache-dir --constraint envs/constraints.txt "$TORCH"
COPY pyproject.toml README.md LICENSE ./
COPY pcft pcft
RUN python -m pip install --no-cache-dir --constraint envs/constraints.txt --editable .

COPY Snakefile config.yaml ./
COPY rules rules
COPY config config
COPY profiles/default profiles/default

USER pcft
ENTRYPOINT ["snakemake"]
CMD ["--cores", "all"]
