# docker buildx bake -f images/docker-bake.hcl            every stage's image
# docker buildx bake -f images/docker-bake.hcl --push     and to the registry, with SBOM and provenance attached
#
# TAG is what the compiled pipeline asks for: `python images/build.py tag` prints it.

variable "REGISTRY" {
  default = "ghcr.io/thygan"
}

variable "TAG" {
  default = "dev"
}

variable "REVISION" {
  default = "unknown"
}

variable "BASE_IMAGE" {
  default = ""
}

group "default" {
  targets = ["stage"]
}

target "shared" {
  context    = "."
  dockerfile = "images/Dockerfile"
  args = {
    TAG        = TAG
    BASE_IMAGE = BASE_IMAGE == "" ? null : BASE_IMAGE
  }
  labels = {
    "org.opencontainers.image.revision" = REVISION
  }
  attest = ["type=sbom", "type=provenance,mode=max"]
}

target "stage" {
  inherits = ["shared"]
  name     = stage
  matrix = {
    stage = [
      "tile",
      "split",
      "pack",
      "gan-train",
      "fid-select",
      "generate",
      "classifier-cv",
      "external-eval",
      "umap",
      "report",
    ]
  }
  target = stage
  tags   = ["${REGISTRY}/python-${stage}:${TAG}"]
}

# All stages in one image, for one machine.
target "stages" {
  inherits = ["shared"]
  target   = "stages"
  tags     = ["${REGISTRY}/python-stages:${TAG}"]
}
