FROM python:3.11-slim

# Spaces run as user 1000, which owns all that the app keeps: a folder for each of its users.
RUN useradd --create-home --uid 1000 user && install --directory --owner user /home/user/app
USER user
ENV HOME=/home/user \
    PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860
WORKDIR /home/user/app

COPY --chown=user requirements.txt constraints.txt ./
RUN pip install --user --requirement requirements.txt --constraint constraints.txt

# `hubtrain.dist-info` says what the tasks need: images of jobs are made of it.
COPY --chown=user . .

EXPOSE 7860
CMD ["python", "-m", "orchestrator.app.lobby"]
