# What `make package` built. Keys carry the hash of the contents, so a changed payload is a new object and an unchanged
# one is left alone whatever compressor or machine built it.
locals {
  manifest = jsondecode(file("${var.build_dir}/manifest.json"))

  # Terraform uploads what something that it creates reads while starting; `make upload` brings the payloads of jobs.
  uploads = {
    for payload in ["bootstrap", "ec2", "notebook"] : payload => {
      key    = local.manifest[payload].key
      source = "${var.build_dir}/${local.manifest[payload].file}"
    }
  }
}
