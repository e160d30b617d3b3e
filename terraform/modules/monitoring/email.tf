# With an address, everything that changes its state sends an e-mail. SageMaker has no metric of failed jobs; it sends an
# event for each change of a job.

locals {
  topic_arn = "arn:${var.account.partition}:sns:${var.account.region}:${var.account.id}:${var.name}-alarms"
}

resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26: a topic keeps no message; CloudWatch and EventBridge could not publish with AWS's own key
  count = var.alarm_email == null ? 0 : 1

  name = "${var.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  count = length(aws_sns_topic.alarms)

  arn = aws_sns_topic.alarms[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
      },
      {
        # Without a condition: EventBridge sends none of its keys to SNS, so a condition is never true, and the events
        # would be lost without a word (EventBridge user guide, "Amazon SNS permissions").
        Sid       = "EventsOfFailedJobs"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count = length(aws_sns_topic.alarms)

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

resource "aws_cloudwatch_event_rule" "failed_jobs" {
  count = length(aws_sns_topic.alarms)

  name        = "${var.name}-failed-jobs"
  description = "Training jobs of ${var.name} that fail."

  event_pattern = jsonencode({
    source      = ["aws.sagemaker"]
    detail-type = ["SageMaker Training Job State Change"]
    detail      = { TrainingJobStatus = ["Failed"], TrainingJobName = [{ prefix = "${var.name}-" }] }
  })
}

resource "aws_cloudwatch_event_target" "failed_jobs" {
  count = length(aws_sns_topic.alarms)

  rule = aws_cloudwatch_event_rule.failed_jobs[0].name
  arn  = aws_sns_topic.alarms[0].arn
}
