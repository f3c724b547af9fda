#!/bin/sh
# Fetches a folder of pictures to try: scripts/emoji.sh FOLDER
# The 3,391 drawings of Microsoft's Fluent emoji, WebP of 256x256 with transparency, MIT licence.
set -eu
folder=$1
package=@lobehub/fluent-emoji-3d@1.1.0
command -v npm >/dev/null || { echo "npm is needed to fetch $package; install Node.js" >&2; exit 2; }
mkdir -p "$folder"
cd "$folder"
npm pack --silent "$package" >/dev/null
tar -xzf lobehub-fluent-emoji-3d-*.tgz --strip-components=2 package/assets
rm lobehub-fluent-emoji-3d-*.tgz
