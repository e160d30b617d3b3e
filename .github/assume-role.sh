#!/usr/bin/env bash
# Exchange the workflow's own token for credentials of the role $ROLE, for one hour, and pass them to the next steps. GitHub
# gives the token to jobs with the permission `id-token: write`. Nothing is stored.
set -euo pipefail
token=$(curl --silent --show-error --fail --header "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
  "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" | jq --raw-output .value)
echo "::add-mask::$token"
read -r id secret session < <(aws sts assume-role-with-web-identity --role-arn "$ROLE" --web-identity-token "$token" \
  --role-session-name "github-$GITHUB_RUN_ID" --duration-seconds 3600 --region "${AWS_REGION:-us-east-1}" \
  --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
for each in "$id" "$secret" "$session"; do echo "::add-mask::$each"; done
{
  echo "AWS_ACCESS_KEY_ID=$id"
  echo "AWS_SECRET_ACCESS_KEY=$secret"
  echo "AWS_SESSION_TOKEN=$session"
} >> "$GITHUB_ENV"
