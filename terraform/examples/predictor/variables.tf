variable "endpoint_name" {
  description = "The endpoint that the function asks. It takes an image and answers as payloads/shared/classifier/contract.py says."
  type        = string
}

variable "name" {
  description = "The name that begins the names of everything that is created."
  type        = string
  default     = "pets"
}

variable "region" {
  description = "The region of the endpoint."
  type        = string
  default     = "us-east-1"
}

variable "package" {
  description = "The archive of the function. `make package` builds it."
  type        = string
  default     = "../../../build/lambda.zip"
}
