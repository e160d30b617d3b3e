# The packages that `make package` built. Keys contain the hash of the contents. A changed payload is a new object. An
# unchanged payload keeps its object, whatever compressor or machine built it.
locals {
  manifest = jsondecode(file("${var.build_dir}/manifest.json"))

  # Terraform uploads the payloads that its resources read when they start. `make upload` uploads the payloads of jobs.
  uploads = {
    for payload in concat(["bootstrap", "ec2", "notebook"], local.in_function ? ["in-function"] : []) : payload => {
      key    = local.manifest[payload].key
      source = "${var.build_dir}/${local.manifest[payload].file}"
    }
  }
}
