FROM ubuntu:latest
RUN apt-get update && apt-get install -y curl \
    && curl http://example.org/install.sh | sh
ENV TOKEN=none
COPY . /app
USER root
EXPOSE 22
CMD ["python3", "/app/main.py"]
