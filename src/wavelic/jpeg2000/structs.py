"""The structures of libopenjp2's C interface, field by field as in ``openjpeg.h`` of version 2.5.

C code writes into this memory, so a wrong layout would corrupt the process.  `binding` therefore compares every
structure with what the loaded library itself does to it before anything else is called.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char, c_char_p, c_float, c_int, c_int32, c_uint16, c_uint32, c_void_p

PATH_LENGTH = 4096
MAX_RESOLUTIONS = 33
MAX_LAYERS = 100
_JPWL_SPECS = 16

#: Bytes kept free behind the parameter structures, should a later library have appended fields.
RESERVE = 4096


class ProgressionChange(Structure):
    """opj_poc_t; wavelic never writes one, only its size counts."""

    _fields_ = (
        ("bounds", c_uint32 * 8),
        ("orders", c_int * 2),
        ("name", c_char * 5),
        ("rest", c_uint32 * 25),
    )


class CompressionParameters(Structure):
    """opj_cparameters_t."""

    _fields_ = (
        ("tile_size_on", c_int),
        ("cp_tx0", c_int),
        ("cp_ty0", c_int),
        ("cp_tdx", c_int),
        ("cp_tdy", c_int),
        ("cp_disto_alloc", c_int),
        ("cp_fixed_alloc", c_int),
        ("cp_fixed_quality", c_int),
        ("cp_matrice", POINTER(c_int)),
        ("cp_comment", c_char_p),
        ("csty", c_int),
        ("prog_order", c_int),
        ("poc", ProgressionChange * 32),
        ("numpocs", c_uint32),
        ("tcp_numlayers", c_int),
        ("tcp_rates", c_float * MAX_LAYERS),
        ("tcp_distoratio", c_float * MAX_LAYERS),
        ("numresolution", c_int),
        ("cblockw_init", c_int),
        ("cblockh_init", c_int),
        ("mode", c_int),
        ("irreversible", c_int),
        ("roi_compno", c_int),
        ("roi_shift", c_int),
        ("res_spec", c_int),
        ("prcw_init", c_int * MAX_RESOLUTIONS),
        ("prch_init", c_int * MAX_RESOLUTIONS),
        ("infile", c_char * PATH_LENGTH),
        ("outfile", c_char * PATH_LENGTH),
        ("index_on", c_int),
        ("index", c_char * PATH_LENGTH),
        ("image_offset_x0", c_int),
        ("image_offset_y0", c_int),
        ("subsampling_dx", c_int),
        ("subsampling_dy", c_int),
        ("decod_format", c_int),
        ("cod_format", c_int),
        ("jpwl_epc_on", c_int),
        ("jpwl_hprot_mh", c_int),
        ("jpwl_hprot_tph_tileno", c_int * _JPWL_SPECS),
        ("jpwl_hprot_tph", c_int * _JPWL_SPECS),
        ("jpwl_pprot_tileno", c_int * _JPWL_SPECS),
        ("jpwl_pprot_packno", c_int * _JPWL_SPECS),
        ("jpwl_pprot", c_int * _JPWL_SPECS),
        ("jpwl_sens_size", c_int),
        ("jpwl_sens_addr", c_int),
        ("jpwl_sens_range", c_int),
        ("jpwl_sens_mh", c_int),
        ("jpwl_sens_tph_tileno", c_int * _JPWL_SPECS),
        ("jpwl_sens_tph", c_int * _JPWL_SPECS),
        ("cp_cinema", c_int),
        ("max_comp_size", c_int),
        ("cp_rsiz", c_int),
        ("tp_on", c_char),
        ("tp_flag", c_char),
        ("tcp_mct", c_char),
        ("jpip_on", c_int),
        ("mct_data", c_void_p),
        ("max_cs_size", c_int),
        ("rsiz", c_uint16),
    )


class DecompressionParameters(Structure):
    """opj_dparameters_t."""

    _fields_ = (
        ("cp_reduce", c_uint32),
        ("cp_layer", c_uint32),
        ("infile", c_char * PATH_LENGTH),
        ("outfile", c_char * PATH_LENGTH),
        ("decod_format", c_int),
        ("cod_format", c_int),
        ("area", c_uint32 * 4),
        ("verbose", c_int),
        ("tile_index", c_uint32),
        ("tiles_to_decode", c_uint32),
        ("jpwl_correct", c_int),
        ("jpwl_exp_comps", c_int),
        ("jpwl_max_tiles", c_int),
        ("flags", c_uint32),
    )


class ComponentParameters(Structure):
    """opj_image_cmptparm_t: what opj_image_create is told about one component."""

    _fields_ = (
        ("dx", c_uint32),
        ("dy", c_uint32),
        ("w", c_uint32),
        ("h", c_uint32),
        ("x0", c_uint32),
        ("y0", c_uint32),
        ("prec", c_uint32),
        ("bpp", c_uint32),
        ("sgnd", c_uint32),
    )


class ImageComponent(Structure):
    """opj_image_comp_t: one plane of int32 samples, row by row."""

    _fields_ = (
        ("dx", c_uint32),
        ("dy", c_uint32),
        ("w", c_uint32),
        ("h", c_uint32),
        ("x0", c_uint32),
        ("y0", c_uint32),
        ("prec", c_uint32),
        ("bpp", c_uint32),
        ("sgnd", c_uint32),
        ("resno_decoded", c_uint32),
        ("factor", c_uint32),
        ("data", POINTER(c_int32)),
        ("alpha", c_uint16),
    )


class Image(Structure):
    """opj_image_t."""

    _fields_ = (
        ("x0", c_uint32),
        ("y0", c_uint32),
        ("x1", c_uint32),
        ("y1", c_uint32),
        ("numcomps", c_uint32),
        ("color_space", c_int),
        ("comps", POINTER(ImageComponent)),
        ("icc_profile_buf", c_void_p),
        ("icc_profile_len", c_uint32),
    )


MESSAGE_CALLBACK = ctypes.CFUNCTYPE(None, c_char_p, c_void_p)
READ_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_size_t, c_void_p, ctypes.c_size_t, c_void_p)
WRITE_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_size_t, c_void_p, ctypes.c_size_t, c_void_p)
SKIP_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, c_void_p)
SEEK_CALLBACK = ctypes.CFUNCTYPE(c_int, ctypes.c_int64, c_void_p)
