variable "name" {
  default = "files"
}

resource "aws_s3_bucket" "files" {
  bucket = var.name
  acl    = "public-read"

  versioning {
    enabled = false
  }
}

resource "aws_security_group" "web" {
  ingress {
    from_port   = 0
    to_port     = 65535
    cidr_blocks = ["0.0.0.0/0"]
  }
}
