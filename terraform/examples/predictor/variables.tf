variable "endpoint_name" {
  description = "The endpoint that the function invokes. Its requests and answers must follow payloads/shared/classifier/contract.py."
  type        = string
}

variable "name" {
  description = "The prefix of the names of all resources."
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
