"""Files that are whole and that this suite does not read: what they are, by their first bytes, and what to do."""

from ...base import InvalidDataset
from ..fetch import looks_like_html

R = "open it in R and write the counts out, e.g. with zellkonverter::writeH5AD or DropletUtils::write10xCounts"
PANDAS = "read it with pandas and write its counts as .csv, or as .h5ad with anndata"
NUMPY = PANDAS.replace("pandas", "numpy")
SHEET = "save the sheet as .csv"
UNPACK = "unpack it first"
AGAIN = "download the file itself again"
POINTER = "fetch the content with git lfs pull"
MATRIX = "name the count matrix that was made from it"

FOREIGN = (  # (first bytes, what it is, what to do)
    (b"X\n\x00\x00\x00", "an R object (.rds)", R),
    (b"A\n2\n", "an R object (.rds)", R),
    (b"A\n3\n", "an R object (.rds)", R),
    (b"RDX", "a workspace of R (.RData)", R),
    (b"RDA", "a workspace of R (.RData)", R),
    (b"\x0b\x0e\x0a\x0c", "an R object (.qs)", R),
    (b"\x0b\x0e\x0a\xc1", "an R object (.qs2)", R),
    (b"PAR1", "a Parquet table", PANDAS),
    (b"ARROW1", "an Arrow table", PANDAS),
    (b"FEA1", "a Feather table", PANDAS),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", SHEET),
    (b"\x93NUMPY", "a NumPy array without the names of cells and genes", NUMPY),
    (b"SQLite format 3\x00", "an SQLite database", PANDAS),
    (b"%PDF", "a PDF document", AGAIN),
    (b"\x89PNG", "a picture", AGAIN),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", UNPACK),
    (b"#1.2\n", "a GCT table of GenePattern", "remove its first two lines and the column of descriptions"),
    (b"#1.3\n", "a GCT table of GenePattern", "remove its first two lines and the columns of descriptions"),
    (b"{", "a JSON document", PANDAS),
    (b"BAM\x01", "a BAM file of reads", MATRIX),
    (b"CRAM", "a CRAM file of reads", MATRIX),
    (b"@HD\t", "a SAM file of reads", MATRIX),
    (b"version https://git-lfs", "a pointer that Git LFS left in place of the file", POINTER),
    (b"/annex/objects/", "a pointer that git-annex left in place of the file", "fetch the content with git annex get"),
    *[(bytes([0x80, version]), "a Python pickle (it could run code)", PANDAS) for version in (2, 3, 4, 5)],
)


def refuse_foreign(head, place):
    """Raise InvalidDataset where the first bytes of a file are those of something else than data that are read here.

    Parameters
    ----------
    head : bytes
        The first 512 bytes or fewer, without compression.
    place : str or Path
        What the sentence calls the file.
    """
    if not head:
        raise InvalidDataset(f"{place} is empty: download it again.")
    if looks_like_html(head):
        raise InvalidDataset(f"{place} is a web page, not data: download the file itself again.")
    for start, what, remedy in FOREIGN:
        if head.startswith(start):
            _refuse(place, what, remedy)


def refuse_foreign_zip(names, place):
    """The same for a zip archive, by the names in it."""
    if "[Content_Types].xml" in names:
        _refuse(place, "an Excel workbook or another document of Office", SHEET)
    if any(name.endswith(".npy") for name in names):
        _refuse(place, "an archive of NumPy arrays (.npz) without names of cells and genes", NUMPY)


def _refuse(place, what, remedy):
    raise InvalidDataset(f"{place} is {what}, which this suite does not read: {remedy}.")


def foreign_hdf5(keys):
    """(what it is, what to do) of an HDF5 file whose groups tell that it is no matrix of counts; None of others."""
    if {"barcode_idx", "umi"} <= keys or {"barcode", "gem_group", "umi"} <= keys:
        return "Cell Ranger's molecule_info.h5, a list of molecules", "name filtered_feature_bc_matrix.h5 of its folder"
    if {"assays", "cell.names"} <= keys:
        return "an h5Seurat file", "write an .h5ad from it, e.g. with SeuratDisk::Convert in R"
    if {"#refs#", "#subsystem#"} & keys:
        return "a MATLAB file", "write its counts out as .csv or .mtx"
    return None
