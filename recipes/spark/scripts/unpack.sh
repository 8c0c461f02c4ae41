# Lays Spark out of PyPI's source package. Arguments: the package, Spark's folder.
package=$1 home=$2
getent passwd spark >/dev/null || useradd --system --uid 185 --user-group --home-dir "$home" --no-create-home spark
mark=$home/.package
sum=$(sha256sum "$package" | cut -d' ' -f1)
[ "$(cat "$mark" 2>/dev/null)" != "$sum" ] || exit 0

new=$home.new
rm -rf "$new" "$new.tar"
mkdir -p "$new.tar"
tar -xzf "$package" -C "$new.tar" --strip-components=1 --no-same-owner
# The package keeps the distribution in deps, and Python's parts beside it.
mv "$new.tar/deps" "$new"
mkdir -p "$new/python" "$new/conf" "$new/work"
mv "$new.tar/pyspark" "$new.tar/lib" "$new/python/"
rm -rf "$new.tar"
# Scripts lose their mode on the way through some archives.
chmod 0755 "$new"/bin/* "$new"/sbin/*
chmod 1777 "$new/work"
chown -R spark:spark "$new"
echo "$sum" >"$new/.package"
rm -rf "$home"
mv "$new" "$home"
